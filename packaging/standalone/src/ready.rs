//! The last lines of a start: the address, once it really answers, and while there is no user the code that makes the first one.

use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use vmscope_web::Web;

/// Between two attempts.
const POLL: Duration = Duration::from_millis(200);
/// What says that all of it works: the admin endpoint, which speaks HTTP whatever the dashboard does.
const PATH: &str = "/readyz";

/// Prints where the dashboard is, when it answers, and the set-up code if there is one.
pub(crate) async fn announce(web: Web, code: Option<String>, stopping: CancellationToken) {
    let wait = async {
        while !answers(web.admin).await.unwrap_or(false) {
            tokio::time::sleep(POLL).await;
        }
    };
    tokio::select! {
        () = wait => {
            // Nobody reads: then nobody needs to know.
            let code = code.map_or_else(String::new, |code| format!("set-up code: {code}\n"));
            let scheme = if web.address.ip().is_loopback() { "http" } else { "https" };
            let _ = writeln!(std::io::stdout(), "\n{code}vmscope is ready: {scheme}://{}\n", web.address);
        }
        () = stopping.cancelled() => {}
    }
}

async fn answers(address: SocketAddr) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {PATH} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(answer.starts_with(b"HTTP/1.1 200"))
}

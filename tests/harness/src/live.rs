//! A web server with somebody logged in, and its `WebSocket` connections.

use crate::daemon::binary;
use crate::person::Person;
use crate::site::{Site, eventually};
use crate::web::Web;
use anyhow::{Context, ensure};
use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

/// How long it may take to be ready.
const START_LIMIT: Duration = Duration::from_secs(30);
/// Tests have one address: nobody is to wait because of it.
const LIMITS: &str = "[limits]\nrequests_per_s = 100000\nburst = 100000\nlogins_per_min = 100000\nfailed_logins_per_min = 100000\n";
/// A client's buffers: there are a thousand in one process.
const BUFFER_BYTES: usize = 8 << 10;

/// A web server whose first user watches.
#[derive(Debug)]
pub struct Live {
    /// The server.
    pub web: Web,
    /// The first user, who may do everything.
    pub person: Person,
}

impl Live {
    /// Starts the web server of a site whose collector runs, and sets it up.
    ///
    /// # Errors
    /// When it can't be started or refuses.
    pub async fn start(site: &Site) -> anyhow::Result<Self> {
        let web = site.start_web(LIMITS)?;
        let collector = site.path("collector/vmscope-collector.toml");
        let mut person = None;
        eventually(
            "the collector and the web server are ready",
            START_LIMIT,
            async || {
                let code = set_up_code(&collector)?;
                person = Some(Person::set_up(format!("http://{}", web.address), code.trim())?);
                Ok(true)
            },
        )
        .await?;
        Ok(Self {
            web,
            person: person.context("a person")?,
        })
    }

    /// Opens a socket as the first user; `receive_bytes` is what the kernel keeps of it unread.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn socket(&self, receive_bytes: Option<u32>) -> anyhow::Result<Socket> {
        Socket::open(self.web.address, self.person.token(), receive_bytes).await
    }
}

/// A WebSocket of live samples.
#[derive(Debug)]
pub struct Socket(WebSocketStream<TcpStream>);

impl Socket {
    /// Opens one.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn open(address: SocketAddr, token: &str, receive_bytes: Option<u32>) -> anyhow::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        if let Some(bytes) = receive_bytes {
            socket.set_recv_buffer_size(bytes)?;
        }
        let stream = socket.connect(address).await?;
        let mut request = format!("ws://{address}/api/v1/live").into_client_request()?;
        let bearer = format!("Bearer {token}").parse()?;
        request.headers_mut().insert("Authorization", bearer);
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER_BYTES)
            .write_buffer_size(BUFFER_BYTES);
        let (socket, _) = client_async_with_config(request, stream, Some(config)).await?;
        Ok(Self(socket))
    }

    /// Subscribes to hosts, virtual machines and groups, as the API names them.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn subscribe(&mut self, entities: &[String]) -> anyhow::Result<()> {
        let message = json!({"type": "subscribe", "entities": entities});
        Ok(self.0.send(Message::text(message.to_string())).await?)
    }

    /// The next text of the server.
    ///
    /// # Errors
    /// When the connection is over.
    pub async fn next(&mut self) -> anyhow::Result<String> {
        loop {
            match self.0.next().await.context("the connection is over")?? {
                Message::Text(text) => return Ok(text.as_str().to_owned()),
                Message::Close(frame) => anyhow::bail!("closed: {frame:?}"),
                _ => {}
            }
        }
    }
}

/// What the first user of an installation is made with.
fn set_up_code(collector: &Path) -> anyhow::Result<String> {
    let mut command = Command::new(binary("vmscope-collector")?);
    let output = command
        .args(["user", "setup-code", "--config"])
        .arg(collector)
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "user setup-code: {said}");
    Ok(String::from_utf8(output.stdout)?)
}

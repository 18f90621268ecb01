//! A TCP relay in front of a database: cut, it is what a server that is down looks like.

use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// How long a freed port may take until it can be bound again.
const REBIND: Duration = Duration::from_millis(20);

/// A relay from a port of its own to `target`.
pub(crate) struct Relay {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    target: SocketAddr,
    running: Option<JoinHandle<()>>,
}

impl Relay {
    /// Opens a relay on a free port.
    pub(crate) async fn open(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound port");
        let running = Some(tokio::spawn(relay(listener, target)));
        Self {
            address,
            target,
            running,
        }
    }

    /// Breaks every connection and closes the port.
    pub(crate) async fn cut(&mut self) {
        let running = self.running.take().expect("an open relay");
        running.abort();
        assert!(running.await.expect_err("aborted").is_cancelled());
    }

    /// Opens the port again.
    pub(crate) async fn mend(&mut self) {
        let listener = loop {
            match TcpListener::bind(self.address).await {
                Ok(listener) => break listener,
                Err(_) => tokio::time::sleep(REBIND).await,
            }
        };
        self.running = Some(tokio::spawn(relay(listener, self.target)));
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if let Some(running) = &self.running {
            running.abort();
        }
    }
}

async fn relay(listener: TcpListener, target: SocketAddr) {
    let mut connections = JoinSet::new();
    while let Ok((mut client, _)) = listener.accept().await {
        connections.spawn(async move {
            if let Ok(mut server) = TcpStream::connect(target).await {
                // Either end may break it: that is what the relay is for.
                let _ = copy_bidirectional(&mut client, &mut server).await;
            }
        });
    }
}

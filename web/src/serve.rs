//! The sockets of the dashboard and the API, with or without TLS.

use axum::Router;
use axum_server::Handle;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use hyper_util::rt::TokioTimer;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long requests under way may take once the service stops.
const DRAIN: Duration = Duration::from_secs(10);
/// How long a client may take for its handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a client may take for the head of a request.
const HEAD: Duration = Duration::from_secs(15);

/// Serves `router` on `listener` until `stopping`; handlers see the client's address.
pub(crate) async fn run(
    listener: TcpListener,
    tls: Option<RustlsConfig>,
    router: Router,
    stopping: CancellationToken,
) -> io::Result<()> {
    let handle = Handle::new();
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let server = axum_server::from_tcp(listener)?.handle(handle.clone());
    let served = async {
        match tls {
            Some(tls) => {
                let mut server = server.acceptor(RustlsAcceptor::new(tls).handshake_timeout(HANDSHAKE));
                server
                    .http_builder()
                    .http1()
                    .timer(TokioTimer::new())
                    .header_read_timeout(HEAD);
                server.serve(service).await
            }
            None => {
                let mut server = server.http1_only();
                server
                    .http_builder()
                    .http1()
                    .timer(TokioTimer::new())
                    .header_read_timeout(HEAD);
                server.serve(service).await
            }
        }
    };
    let stopped = async {
        stopping.cancelled().await;
        handle.graceful_shutdown(Some(DRAIN));
        std::future::pending().await
    };
    tokio::select! {
        ended = served => ended,
        never = stopped => never,
    }
}

//! The sockets of the dashboard and the API, with or without TLS.

use axum::Router;
use axum_server::Handle;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use socket2::SockRef;
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

/// What the kernel holds of a connection beyond what is on its way. More would be old before a slow client reads it: live samples are
/// merged here instead.
const UNSENT_BYTES: u32 = 64 << 10;

/// Makes connections of `listener` say what they have to say at once, and hold back what can't be said: they inherit it.
pub(crate) fn tune(listener: &TcpListener) -> io::Result<()> {
    let socket = SockRef::from(listener);
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_notsent_lowat(UNSENT_BYTES)
}

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
    let serving = async {
        // Not `http1_only`: that serves without upgrades, and a WebSocket is one.
        let Some(tls) = tls else {
            let mut plain = server;
            patient(plain.http_builder());
            return plain.serve(service).await;
        };
        let mut secure = server.acceptor(RustlsAcceptor::new(tls).handshake_timeout(HANDSHAKE));
        patient(secure.http_builder());
        secure.serve(service).await
    };
    let stopped = async {
        stopping.cancelled().await;
        handle.graceful_shutdown(Some(DRAIN));
        std::future::pending().await
    };
    tokio::select! {
        ended = serving => ended,
        never = stopped => never,
    }
}

/// Waits for the head of a request, but not for ever.
fn patient(http: &mut Builder<TokioExecutor>) {
    http.http1().timer(TokioTimer::new()).header_read_timeout(HEAD);
}

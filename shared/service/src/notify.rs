//! Tells a service manager how the daemon is doing (`sd_notify(3)`): a datagram to the socket that `NOTIFY_SOCKET` names.
//!
//! Without that variable nothing happens. A failure is logged and forgotten: the daemon works without its manager.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// A state that the manager can be told.
#[derive(Debug, Clone, Copy)]
pub(crate) enum State {
    /// Built, bound and serving.
    Ready,
    /// Draining before the end.
    Stopping,
}

/// Tells the service manager, if there is one.
pub(crate) fn notify(state: State) {
    let Some(socket) = std::env::var_os("NOTIFY_SOCKET") else {
        return;
    };
    if let Err(error) = send(&socket, state) {
        tracing::warn!(socket = %socket.display(), %error, "service manager could not be notified");
    }
}

fn send(socket: &OsStr, state: State) -> io::Result<()> {
    // A name that starts with `@` is in the abstract namespace, where the first byte is not part of the name.
    let address = match socket.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(socket)?,
    };
    let message: &[u8] = match state {
        State::Ready => b"READY=1",
        State::Stopping => b"STOPPING=1",
    };
    UnixDatagram::unbound()?.send_to_addr(message, &address).map(drop)
}

#[cfg(test)]
mod tests {
    use super::{SocketAddrExt, State, UnixDatagram, send};
    use std::ffi::OsString;
    use std::os::unix::net::SocketAddr;

    fn received(socket: &UnixDatagram) -> Vec<u8> {
        let mut bytes = [0; 64];
        let length = socket.recv(&mut bytes).expect("a datagram");
        bytes[..length].to_vec()
    }

    #[test]
    fn tells_a_manager_that_listens_on_a_path() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("notify");
        let manager = UnixDatagram::bind(&path).expect("a socket");
        send(path.as_os_str(), State::Ready).expect("sent");
        assert_eq!(received(&manager), b"READY=1");
    }

    #[test]
    fn tells_a_manager_that_listens_on_an_abstract_name() {
        let name = format!("vmscope-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).expect("a name");
        let manager = UnixDatagram::bind_addr(&address).expect("a socket");
        send(&OsString::from(format!("@{name}")), State::Stopping).expect("sent");
        assert_eq!(received(&manager), b"STOPPING=1");
    }

    #[test]
    fn reports_a_manager_that_is_gone() {
        let directory = tempfile::tempdir().expect("a directory");
        send(directory.path().join("nobody").as_os_str(), State::Ready).expect_err("nobody listens");
    }
}

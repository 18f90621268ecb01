//! A real process under signals: this binary starts itself as the daemon and watches it as a service manager would.
#![expect(clippy::expect_used, reason = "a helper of tests fails by panicking")]

use rustix::process::{Pid, Signal, kill_process};
use std::future::pending;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, ExitCode};
use std::time::Duration;
use vmscope_service::Lifecycle;

const ROLE: &str = "VMSCOPE_TEST_ROLE";
const DEADLINE: Duration = Duration::from_mins(1);

fn main() -> ExitCode {
    if let Ok(role) = std::env::var(ROLE) {
        return daemon(&role);
    }
    drains_at_a_signal();
    ends_at_a_second_signal_without_waiting();
    fails_by_itself_when_a_task_fails();
    ExitCode::SUCCESS
}

#[tokio::main]
async fn daemon(role: &str) -> ExitCode {
    let lifecycle = Lifecycle::new();
    let stopping = lifecycle.stopping();
    match role {
        "drains" => lifecycle.spawn("steady", stopping.cancelled_owned()),
        "stuck" => lifecycle.spawn("stuck", pending::<()>()),
        _ => lifecycle.spawn("shaky", async { Err(std::io::Error::other("as the test wants")) }),
    }
    lifecycle.run().await
}

/// The daemon, and the socket on which it reports.
struct Watched {
    child: Child,
    manager: UnixDatagram,
    _directory: tempfile::TempDir,
}

impl Watched {
    fn start(role: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("notify");
        let manager = UnixDatagram::bind(&path).expect("a socket");
        manager.set_read_timeout(Some(DEADLINE)).expect("set");
        let child = Command::new(std::env::current_exe().expect("this binary"))
            .env(ROLE, role)
            .env("NOTIFY_SOCKET", &path)
            .spawn()
            .expect("started");
        Self {
            child,
            manager,
            _directory: directory,
        }
    }

    fn expect(&self, message: &str) {
        let mut bytes = [0; 64];
        let length = self
            .manager
            .recv(&mut bytes)
            .expect("a message before the deadline");
        assert_eq!(&bytes[..length], message.as_bytes());
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("signalled");
    }

    fn ends_with(mut self, code: i32) {
        let status = self.child.wait().expect("waited");
        assert_eq!(status.code(), Some(code), "{status}");
    }
}

fn drains_at_a_signal() {
    for signal in [Signal::TERM, Signal::INT] {
        let watched = Watched::start("drains");
        watched.expect("READY=1");
        watched.signal(signal);
        watched.expect("STOPPING=1");
        watched.ends_with(0);
    }
}

fn ends_at_a_second_signal_without_waiting() {
    let watched = Watched::start("stuck");
    watched.expect("READY=1");
    watched.signal(Signal::TERM);
    watched.expect("STOPPING=1");
    watched.signal(Signal::TERM);
    watched.ends_with(1);
}

fn fails_by_itself_when_a_task_fails() {
    let watched = Watched::start("fails");
    watched.expect("READY=1");
    watched.expect("STOPPING=1");
    watched.ends_with(1);
}

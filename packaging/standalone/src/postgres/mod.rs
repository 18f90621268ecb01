//! A private PostgreSQL: found, initialised, started, kept alive and stopped by vmscope itself.
//!
//! Invariants:
//! - The server listens on a Unix socket inside the data directory and on nothing else; the socket's directory is open to
//!   its owner alone, which is why the socket needs no password.
//! - Run as root, the server gets an unprivileged user (PostgreSQL refuses to be root).
//! - The server dies with vmscope, kill -9 included: the kernel sends it SIGINT (a fast, clean shutdown) when the thread
//!   that started it is gone. A server that still lives from an earlier run is stopped before a new one is started.
//! - A server that ends by itself is started again, with a pause between attempts.

mod cluster;
mod install;
mod supervisor;

use std::path::{Path, PathBuf};

pub use install::Installation;
pub use supervisor::Server;

/// What can go wrong with the private server.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No usable PostgreSQL on this machine.
    #[error("found no PostgreSQL {oldest} or later; install the package `postgresql`")]
    NotInstalled {
        /// The oldest version that vmscope works with.
        oldest: u32,
    },
    /// The data directory belongs to a version that is not installed.
    #[error("{path} was made by PostgreSQL {wanted}, which is not installed here (found {found})", path = path.display())]
    VersionGone {
        /// The cluster's directory.
        path: PathBuf,
        /// The version that made it.
        wanted: u32,
        /// The versions that are here.
        found: String,
    },
    /// The server's user can't get at the data directory.
    #[error("user {user} cannot reach {path}; choose another directory with --data-dir", path = path.display())]
    Unreachable {
        /// The server's user.
        user: String,
        /// The cluster's directory.
        path: PathBuf,
    },
    /// A Unix socket's path has a hard limit.
    #[error("{path} is too long for a Unix socket; choose a shorter --data-dir", path = path.display())]
    SocketPath {
        /// The socket's directory.
        path: PathBuf,
    },
    /// A file operation failed.
    #[error("{operation} {path}", path = path.display())]
    File {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// One of PostgreSQL's programs failed.
    #[error("{program} ended with {status}: {output}")]
    Program {
        /// Which program.
        program: String,
        /// Its exit status.
        status: std::process::ExitStatus,
        /// What it said.
        output: String,
    },
    /// The server did not answer in time.
    #[error("PostgreSQL did not answer within {waited_s} s; its log is {log}", log = log.display())]
    NotReady {
        /// How long vmscope waited.
        waited_s: u64,
        /// Where the server writes its log.
        log: PathBuf,
    },
    /// A server of an earlier run does not stop.
    #[error("the PostgreSQL of an earlier run (process {pid}) does not stop")]
    Lingering {
        /// Its process id.
        pid: i32,
    },
}

fn file_error(operation: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::File {
        operation,
        path,
        source,
    }
}

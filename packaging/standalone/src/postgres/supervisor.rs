//! The thread that starts the private server, starts it again when it ends, and stops it.

use super::cluster::{Cluster, DATABASE, SUPERUSER, WEB_ROLE};
use super::{Error, file_error};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a start may take: crash recovery of a large cluster included.
const START_LIMIT: Duration = Duration::from_mins(2);
/// How long a fast shutdown may take before the server is told to quit at once.
const STOP_LIMIT: Duration = Duration::from_secs(25);
/// Between two looks at a process.
const POLL: Duration = Duration::from_millis(50);
/// Between the end of a server and its next start.
const RESTART_PAUSE: Duration = Duration::from_secs(1);

/// A running private server. [`Server::stop`] ends it; so does the end of the process.
#[derive(Debug)]
pub struct Server {
    /// Address for `tokio-postgres`: the socket inside the data directory.
    pub url: String,
    /// The same without a user.
    place: String,
    /// The folder that everything of the server is in.
    pub root: PathBuf,
    stopping: Arc<(Mutex<bool>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Makes the cluster below `root` if there is none, starts the server and waits until it answers.
    ///
    /// Blocks for seconds: call it from a blocking context.
    ///
    /// # Errors
    /// Any of [`Error`]; the server's own words are in `postgres.log` below `root`.
    pub fn start(root: &Path) -> Result<Self, Error> {
        let cluster = Cluster::prepare(root)?;
        stop_leftover(&cluster)?;
        let place = format!("postgresql:///{DATABASE}?host={}", encoded(&cluster.sockets));
        let stopping = Arc::new((Mutex::new(false), Condvar::new()));
        let shared = Arc::clone(&stopping);
        let supervised = cluster.clone();
        let body = move || supervise(&supervised, &shared);
        let thread = std::thread::Builder::new()
            .name("postgres".to_owned())
            .spawn(body);
        let thread = thread.map_err(file_error("start a thread for", root))?;
        let server = Self {
            url: format!("{place}&user={SUPERUSER}"),
            place,
            root: root.to_owned(),
            stopping,
            thread: Some(thread),
        };
        wait_until_ready(&cluster)?;
        cluster.make_database()?;
        tracing::info!(
            version = cluster.installation.version,
            timescaledb = cluster.installation.timescale,
            "private database is ready"
        );
        Ok(server)
    }

    /// The role by which the web service logs in. It is the caller's to make.
    pub const WEB_ROLE: &'static str = WEB_ROLE;

    /// The web service's address, with a password of letters and digits.
    pub fn url_of_web(&self, password: &str) -> String {
        format!("{}&user={WEB_ROLE}&password={password}", self.place)
    }

    /// Stops the server cleanly; returns when it is gone. Blocks.
    pub fn stop(mut self) {
        self.shut_down();
    }

    fn shut_down(&mut self) {
        *self.stopping.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.stopping.1.notify_all();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of the private database panicked");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shut_down();
    }
}

/// A path for the `host` of a connection URL.
fn encoded(path: &Path) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    let text = path.display().to_string();
    text.bytes()
        .map(|b| {
            if plain(b) {
                char::from(b).to_string()
            } else {
                format!("%{b:02X}")
            }
        })
        .collect()
}

fn supervise(cluster: &Cluster, stopping: &(Mutex<bool>, Condvar)) {
    while !is_stopping(stopping, Duration::ZERO) {
        match spawn(cluster) {
            Ok(child) => watch(child, stopping),
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "private database does not start"
                );
            }
        }
        is_stopping(stopping, RESTART_PAUSE);
    }
}

fn spawn(cluster: &Cluster) -> Result<Child, Error> {
    let log = cluster.open_log()?;
    let mut command = cluster.command("postgres");
    // A group of its own: Ctrl-C in a terminal is for vmscope, which stops the server after its last commit.
    command
        .arg("-D")
        .arg(&cluster.data)
        .stdout(Stdio::null())
        .stderr(log)
        .process_group(0);
    command
        .spawn()
        .map_err(file_error("start the server on", &cluster.data))
}

/// Until the server ends, by itself or because vmscope stops.
fn watch(mut child: Child, stopping: &(Mutex<bool>, Condvar)) {
    let mut asked_at: Option<Instant> = None;
    loop {
        match child.try_wait() {
            Ok(None) => {}
            Ok(Some(status)) if asked_at.is_some() => {
                return tracing::info!(%status, "private database stopped");
            }
            Ok(Some(status)) => return tracing::error!(%status, "private database ended by itself"),
            Err(error) => return tracing::error!(%error, "private database can't be watched"),
        }
        match asked_at {
            None if is_stopping(stopping, POLL) => {
                asked_at = Some(Instant::now());
                signal(child.id(), Signal::INT);
            }
            None => {}
            Some(at) => {
                if at.elapsed() > STOP_LIMIT {
                    signal(child.id(), Signal::QUIT);
                }
                std::thread::sleep(POLL);
            }
        }
    }
}

/// Whether the server is to stop, waiting up to `patience` for that wish.
fn is_stopping((flag, changed): &(Mutex<bool>, Condvar), patience: Duration) -> bool {
    let guard = flag.lock().unwrap_or_else(PoisonError::into_inner);
    let waited = changed.wait_timeout_while(guard, patience, |stop| !*stop);
    *waited.unwrap_or_else(PoisonError::into_inner).0
}

fn signal(pid: u32, signal: Signal) {
    let target = i32::try_from(pid).ok().and_then(Pid::from_raw);
    if let Some(Err(error)) = target.map(|pid| kill_process(pid, signal)) {
        tracing::warn!(pid, %error, "private database could not be signalled");
    }
}

fn wait_until_ready(cluster: &Cluster) -> Result<(), Error> {
    let started = Instant::now();
    while started.elapsed() < START_LIMIT {
        let mut ask = cluster.command("pg_isready");
        ask.args(["--quiet", "--timeout=2", "--host"])
            .arg(&cluster.sockets);
        if ask.status().is_ok_and(|status| status.success()) {
            return Ok(());
        }
        std::thread::sleep(POLL);
    }
    Err(Error::NotReady {
        waited_s: START_LIMIT.as_secs(),
        log: cluster.log.clone(),
    })
}

/// A server of an earlier run that was killed may still be shutting down, or hang: it owns the cluster's files.
fn stop_leftover(cluster: &Cluster) -> Result<(), Error> {
    let Some(pid) = leftover(cluster) else {
        return Ok(());
    };
    tracing::warn!(
        pid = pid.as_raw_nonzero().get(),
        "stopping the database of an earlier run"
    );
    let started = Instant::now();
    let mut wish = Signal::INT;
    while test_kill_process(pid).is_ok() {
        if kill_process(pid, wish).is_err() {
            break;
        }
        if started.elapsed() > STOP_LIMIT {
            wish = Signal::QUIT;
        }
        if started.elapsed() > 2 * STOP_LIMIT {
            return Err(Error::Lingering {
                pid: pid.as_raw_nonzero().get(),
            });
        }
        std::thread::sleep(POLL);
    }
    Ok(())
}

/// The process in `postmaster.pid`, if it is alive and really serves this cluster (process ids are used again).
fn leftover(cluster: &Cluster) -> Option<Pid> {
    let file = std::fs::read_to_string(cluster.data.join("postmaster.pid")).ok()?;
    let pid = file.lines().next()?.trim().parse::<i32>().ok()?;
    let command = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).ok()?;
    let ours = command.split('\0').any(|word| Path::new(word) == cluster.data);
    ours.then(|| Pid::from_raw(pid)).flatten()
}

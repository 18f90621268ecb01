//! The files of the private server: who owns them, how they are made and configured.

use super::{Error, Installation, file_error};
use rustix::fs::{Gid, Uid, chown};
use std::fs::{DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Users that may own the server when vmscope itself is root, best first.
const UNPRIVILEGED_USERS: [&str; 2] = ["postgres", "nobody"];
/// The longest directory that leaves room for `/.s.PGSQL.5432` in a Unix socket's address (108 bytes).
const MAX_SOCKET_DIRECTORY: usize = 92;
/// The database's superuser, whoever runs the server.
pub(super) const SUPERUSER: &str = "vmscope";
/// The role by which the web service logs in, with a password.
pub(super) const WEB_ROLE: &str = "vmscope_web";
/// The one database.
pub(super) const DATABASE: &str = "vmscope";

/// A user other than root: name, user id, group id.
#[derive(Debug, Clone)]
struct User {
    name: String,
    uid: u32,
    gid: u32,
}

/// Where the private server's files are and whose they are.
#[derive(Debug, Clone)]
pub(super) struct Cluster {
    pub(super) installation: Installation,
    pub(super) data: PathBuf,
    pub(super) sockets: PathBuf,
    pub(super) log: PathBuf,
    user: Option<User>,
}

impl Cluster {
    /// Makes what is missing: folders, the cluster itself, its configuration.
    pub(super) fn prepare(root: &Path) -> Result<Self, Error> {
        let data = root.join("data");
        let installation = Installation::choose(&data, &Installation::all())?;
        let user = server_user()?;
        let cluster = Self {
            installation,
            data,
            sockets: root.join("run"),
            log: root.join("postgres.log"),
            user,
        };
        if cluster.sockets.as_os_str().len() > MAX_SOCKET_DIRECTORY {
            return Err(Error::SocketPath {
                path: cluster.sockets,
            });
        }
        for folder in [root, &cluster.data, &cluster.sockets] {
            cluster.make_folder(folder)?;
        }
        cluster.check_reachable()?;
        if !cluster.data.join("PG_VERSION").exists() {
            cluster.initialise()?;
        }
        cluster.configure()?;
        Ok(cluster)
    }

    /// A command of this installation, run as the server's user and killed with the calling thread.
    pub(super) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "INT"]);
        if let Some(user) = &self.user {
            command.args([
                "--reuid",
                &user.uid.to_string(),
                "--regid",
                &user.gid.to_string(),
                "--clear-groups",
            ]);
        }
        command.arg("--").arg(self.installation.programs.join(program));
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("LC_ALL", "C.UTF-8")
            .current_dir("/");
        command.stdin(Stdio::null());
        command
    }

    fn make_folder(&self, path: &Path) -> Result<(), Error> {
        let mut builder = DirBuilder::new();
        builder
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(file_error("create", path))?;
        if let Some(user) = &self.user {
            let (owner, group) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
            chown(path, Some(owner), Some(group))
                .map_err(|e| file_error("change the owner of", path)(e.into()))?;
        }
        Ok(())
    }

    /// A folder of the server's user may still lie below one that only root may enter.
    fn check_reachable(&self) -> Result<(), Error> {
        let Some(user) = &self.user else { return Ok(()) };
        let mut command = Command::new("setpriv");
        command.args([
            "--reuid",
            &user.uid.to_string(),
            "--regid",
            &user.gid.to_string(),
            "--clear-groups",
            "--",
        ]);
        let status = command.args(["test", "-x"]).arg(&self.data).status();
        match status.map_err(file_error("run setpriv on", &self.data))? {
            status if status.success() => Ok(()),
            _ => Err(Error::Unreachable {
                user: user.name.clone(),
                path: self.data.clone(),
            }),
        }
    }

    fn initialise(&self) -> Result<(), Error> {
        tracing::info!(path = %self.data.display(), version = self.installation.version, "making a database cluster");
        let mut command = self.command("initdb");
        command.args([
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--username",
            SUPERUSER,
        ]);
        run(command.arg("--pgdata").arg(&self.data), "initdb")
    }

    /// Makes the database in a running server, unless it is there.
    pub(super) fn make_database(&self) -> Result<(), Error> {
        let mut command = self.command("createdb");
        command
            .arg("--host")
            .arg(&self.sockets)
            .args(["--username", SUPERUSER, DATABASE]);
        match run(&mut command, "createdb") {
            Err(Error::Program { output, .. }) if output.contains("already exists") => Ok(()),
            done => done,
        }
    }

    /// Written anew at every start: a changed default reaches an old cluster; people's own settings go into `local.conf`.
    fn configure(&self) -> Result<(), Error> {
        let preload = if self.installation.timescale {
            "timescaledb"
        } else {
            ""
        };
        let text = format!(
            "# Written by vmscope at every start. Own settings belong into local.conf beside this file.\n\
             listen_addresses = ''\n\
             unix_socket_directories = '{sockets}'\n\
             unix_socket_permissions = 0700\n\
             shared_preload_libraries = '{preload}'\n\
             {telemetry}\
             max_connections = 60\n\
             max_wal_size = 2GB\n\
             wal_compression = on\n\
             jit = off\n\
             log_line_prefix = '%m [%p] '\n\
             timezone = 'UTC'\n\
             include_if_exists = 'local.conf'\n",
            sockets = self.sockets.display().to_string().replace('\'', "''"),
            telemetry = if self.installation.timescale {
                "timescaledb.telemetry_level = off\n"
            } else {
                ""
            },
        );
        let path = self.data.join("postgresql.conf");
        std::fs::write(&path, text).map_err(file_error("write", &path))?;
        // The socket's directory is the superuser's password; the web service has to show its own.
        let text = format!(
            "# Written by vmscope at every start.\n\
             local all {WEB_ROLE} scram-sha-256\n\
             local all all trust\n"
        );
        let path = self.data.join("pg_hba.conf");
        std::fs::write(&path, text).map_err(file_error("write", &path))
    }

    /// The server's log, opened for appending.
    pub(super) fn open_log(&self) -> Result<std::fs::File, Error> {
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log)
            .map_err(file_error("open", &self.log))
    }
}

/// Runs a program to its end.
fn run(command: &mut Command, program: &str) -> Result<(), Error> {
    let output = command.output().map_err(file_error("run", Path::new(program)))?;
    if output.status.success() {
        return Ok(());
    }
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Err(Error::Program {
        program: program.to_owned(),
        status: output.status,
        output: text.trim().to_owned(),
    })
}

/// `None` unless vmscope is root.
fn server_user() -> Result<Option<User>, Error> {
    let own = Path::new("/proc/self");
    if std::fs::metadata(own).map_err(file_error("look at", own))?.uid() != 0 {
        return Ok(None);
    }
    let path = Path::new("/etc/passwd");
    let passwd = std::fs::read_to_string(path).map_err(file_error("read", path))?;
    Ok(UNPRIVILEGED_USERS
        .iter()
        .find_map(|name| find_user(&passwd, name)))
}

fn find_user(passwd: &str, name: &str) -> Option<User> {
    let fields: Vec<&str> = passwd
        .lines()
        .map(|line| line.split(':').collect())
        .find(|f: &Vec<&str>| f[0] == name)?;
    Some(User {
        name: name.to_owned(),
        uid: fields.get(2)?.parse().ok()?,
        gid: fields.get(3)?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_user_by_its_whole_name() {
        let passwd = "root:x:0:0::/root:/bin/sh\npostgres2:x:7:7::/:/bin/sh\npostgres:x:101:104::/:/bin/sh\n";
        let user = find_user(passwd, "postgres").unwrap();
        assert_eq!((user.uid, user.gid), (101, 104));
        assert!(find_user(passwd, "nobody").is_none());
    }
}

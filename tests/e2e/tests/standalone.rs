//! `vmscope`, everything in one process: a first start, kill -9, a second start, an orderly end.

use anyhow::Context;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;
use vmscope_harness::daemon::Daemon;
use vmscope_harness::person::{self, Person};
use vmscope_harness::site::eventually;

/// How long a start (with a new database cluster) or a clean-up may take.
const PATIENCE: Duration = Duration::from_mins(1);

const LOOPBACK: &str = "127.0.0.1:0";

/// A data directory that the database's user may enter.
fn data_folder() -> anyhow::Result<TempDir> {
    let folder = tempfile::Builder::new().prefix("vmscope-one-").tempdir()?;
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))?;
    Ok(folder)
}

fn start(folder: &Path, listen: &str, log: &str) -> anyhow::Result<Daemon> {
    let data = folder.join("data").display().to_string();
    let arguments = [
        "run",
        "--data-dir",
        &data,
        "--listen",
        listen,
        "--libvirt-socket",
        "/nonexistent/socket",
    ];
    Daemon::start("vmscope", &arguments, &folder.join(log))
}

/// The id of the one host, as soon as it reports.
async fn host_id(person: &Person) -> anyhow::Result<String> {
    let mut id = None;
    eventually("the host reports", PATIENCE, async || {
        let hosts = person.get("/api/v1/hosts")?;
        let host = &hosts["items"][0];
        id = host["id"].as_str().map(ToOwned::to_owned);
        Ok(id.is_some() && host["reporting"] == true)
    })
    .await?;
    id.context("an id")
}

/// Processes whose command line names this folder.
fn processes(folder: &Path) -> Vec<PathBuf> {
    let wanted = folder.display().to_string();
    let names_it = |path: &Path| {
        std::fs::read(path.join("cmdline")).is_ok_and(|line| String::from_utf8_lossy(&line).contains(&wanted))
    };
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .map(|entry| entry.path())
        .filter(|path| names_it(path))
        .collect()
}

#[tokio::test]
async fn vmscope_survives_kill_9_and_leaves_no_process_behind() {
    let folder = data_folder().unwrap();
    let first = start(folder.path(), LOOPBACK, "first.log").unwrap();
    let person = Person::first(&folder.path().join("first.log")).await.unwrap();
    let host = host_id(&person).await.unwrap();
    eventually(
        "the disk says how large the database may get",
        PATIENCE,
        async || {
            let database = &person.get("/api/v1/system")?["database"];
            Ok(database["capacity_bytes"].as_i64() > database["bytes"].as_i64())
        },
    )
    .await
    .unwrap();
    first.kill().unwrap();
    eventually("the database ends with its vmscope", PATIENCE, async || {
        Ok(processes(folder.path()).is_empty())
    })
    .await
    .unwrap();
    let second = start(folder.path(), LOOPBACK, "second.log").unwrap();
    let person = Person::again(&folder.path().join("second.log")).await.unwrap();
    let again = host_id(&person).await.unwrap();
    assert_eq!(again, host, "the host and its history are still there");
    let refused = start(folder.path(), LOOPBACK, "third.log").unwrap();
    assert!(
        !refused.wait().unwrap().success(),
        "two may not share a data directory"
    );
    assert!(second.stop().unwrap().success());
    assert_eq!(processes(folder.path()), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn elsewhere_than_on_loopback_it_speaks_https() {
    let folder = data_folder().unwrap();
    let daemon = start(folder.path(), "0.0.0.0:0", "open.log").unwrap();
    let address = person::said(&folder.path().join("open.log"), "vmscope is ready: ")
        .await
        .unwrap();
    let port = address.strip_prefix("https://0.0.0.0:").unwrap().parse().unwrap();
    let plain = plainly(port).unwrap();
    assert!(!plain.contains("200 OK"), "{plain}");
    assert!(folder.path().join("data/web/self-signed.pem").exists());
    assert!(daemon.stop().unwrap().success());
}

/// What is answered to somebody who speaks no TLS.
fn plainly(port: u16) -> std::io::Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /api/v1/setup HTTP/1.1\r\nHost: vmscope\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    // The connection may just be closed.
    let _ = stream.read_to_end(&mut answer);
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

//! `vmscope`, everything in one process: a first start, kill -9, a second start, an orderly end.

use anyhow::Context;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;
use vmscope_harness::daemon::Daemon;
use vmscope_harness::site::eventually;

/// How long a start (with a new database cluster) or a clean-up may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// A data directory that the database's user may enter.
fn data_folder() -> anyhow::Result<TempDir> {
    let folder = tempfile::Builder::new().prefix("vmscope-one-").tempdir()?;
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))?;
    Ok(folder)
}

fn start(folder: &Path, log: &str) -> anyhow::Result<Daemon> {
    let data = folder.join("data").display().to_string();
    let arguments = [
        "run",
        "--data-dir",
        &data,
        "--listen",
        "127.0.0.1:0",
        "--libvirt-socket",
        "/nonexistent/socket",
    ];
    Daemon::start("vmscope", &arguments, &folder.join(log))
}

/// Where the dashboard is, once the program has said so.
async fn address(log: &Path) -> anyhow::Result<String> {
    let mut address = None;
    eventually("vmscope is ready", PATIENCE, async || {
        let text = std::fs::read_to_string(log)?;
        address = text.lines().find_map(|line| {
            line.strip_prefix("vmscope is ready: http://")
                .map(ToOwned::to_owned)
        });
        Ok(address.is_some())
    })
    .await?;
    address.context("an address")
}

/// The body of an answer to GET.
fn get(address: &str, path: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("an answer")?;
    anyhow::ensure!(head.starts_with("HTTP/1.1 200"), "{head}");
    Ok(body.to_owned())
}

/// The id of the one host, as soon as it reports.
async fn host_id(address: &str) -> anyhow::Result<String> {
    let mut id = None;
    eventually("the host reports", PATIENCE, async || {
        let body = get(address, "/api/v1/hosts")?;
        id = body
            .split("\"id\":\"")
            .nth(1)
            .and_then(|rest| rest.get(..36))
            .map(ToOwned::to_owned);
        Ok(id.is_some() && body.contains("\"reporting\":true"))
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
    let first = start(folder.path(), "first.log").unwrap();
    let host = host_id(&address(&folder.path().join("first.log")).await.unwrap())
        .await
        .unwrap();
    first.kill().unwrap();
    eventually("the database ends with its vmscope", PATIENCE, async || {
        Ok(processes(folder.path()).is_empty())
    })
    .await
    .unwrap();
    let second = start(folder.path(), "second.log").unwrap();
    let again = host_id(&address(&folder.path().join("second.log")).await.unwrap())
        .await
        .unwrap();
    assert_eq!(again, host, "the host and its history are still there");
    let refused = start(folder.path(), "third.log").unwrap();
    assert!(
        !refused.wait().unwrap().success(),
        "two may not share a data directory"
    );
    assert!(second.stop().unwrap().success());
    assert_eq!(processes(folder.path()), Vec::<PathBuf>::new());
}

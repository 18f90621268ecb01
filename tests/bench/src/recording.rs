//! Recorded ticks of real guests: taken once with `bench record FILE SECONDS`, kept in `data/`, read by the `wire` group.
//!
//! A file is a row of records, each behind its length (u32, little-endian).

use anyhow::{Context, ensure};
use std::path::Path;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use vmscope_agent::sampler::{self, SINK_RECORDS, Sampler};
use vmscope_model::{Record, record};

/// Samples the guests behind `VMSCOPE_TEST_LIBVIRT_SOCKET` at the default intervals and writes what it took.
pub(crate) async fn record(arguments: &[String]) -> anyhow::Result<()> {
    let [file, seconds] = arguments else {
        anyhow::bail!("usage: bench record FILE SECONDS")
    };
    let limit = Duration::from_secs(seconds.parse().context("SECONDS is a number")?);
    let config = sampler::Config {
        libvirt_socket: libvirt_socket()?,
        ..sampler::Config::default()
    };
    let (sink, mut records) = mpsc::channel(SINK_RECORDS);
    let stopping = CancellationToken::new();
    let sampling = tokio::spawn(Sampler::new(config).run(sink, stopping.clone()));
    let mut bytes = Vec::new();
    let end = tokio::time::sleep(limit);
    tokio::pin!(end);
    loop {
        tokio::select! {
            () = &mut end => break,
            taken = records.recv() => append(&mut bytes, &taken.context("the sampler ended")?)?,
        }
    }
    stopping.cancel();
    drop(records);
    sampling.await?;
    std::fs::write(file, bytes).with_context(|| format!("write {file}"))
}

/// Reads a recording.
pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<Record>> {
    let bytes = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
    let mut rest = bytes.as_slice();
    let mut records = Vec::new();
    while let Some((length, tail)) = rest.split_first_chunk::<4>() {
        let length = u32::from_le_bytes(*length) as usize;
        ensure!(length <= tail.len(), "the recording is cut off");
        let (one, tail) = tail.split_at(length);
        records.push(record::decode(one)?);
        rest = tail;
    }
    Ok(records)
}

/// Where the guests of `packaging/dev/guests` are.
pub(crate) fn libvirt_socket() -> anyhow::Result<std::path::PathBuf> {
    let socket = std::env::var_os("VMSCOPE_TEST_LIBVIRT_SOCKET");
    Ok(socket
        .context("no guests: run packaging/dev/guests up 50 and read .dev/guests.env")?
        .into())
}

fn append(bytes: &mut Vec<u8>, taken: &Record) -> anyhow::Result<()> {
    let coded = record::encode(taken)?;
    bytes.extend_from_slice(&u32::try_from(coded.len())?.to_le_bytes());
    bytes.extend_from_slice(&coded);
    Ok(())
}

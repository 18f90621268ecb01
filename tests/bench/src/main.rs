//! `bench [GROUP]`: measures the product and prints one line a figure: `name value unit bar ok|short`.
//!
//! Groups: `ingest` (frames to committed rows against `psql \copy` of the same rows), `wire` (bytes a value on recorded
//! series of real guests), `agent` (CPU and memory of the agent on the guests that run). A figure without a bar prints `-`.

#![expect(clippy::cast_precision_loss, reason = "figures have a handful of digits")]

mod agent;
mod figure;
mod ingest;
mod recording;
mod series;
mod wire;

use std::process::ExitCode;

const GROUPS: [&str; 3] = ["wire", "ingest", "agent"];

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let chosen: Vec<&str> = match arguments.first().map(String::as_str) {
        None => GROUPS.to_vec(),
        Some("record") => {
            return recording::record(&arguments[1..])
                .await
                .map(|()| ExitCode::SUCCESS);
        }
        Some(group) if GROUPS.contains(&group) => vec![group],
        Some(other) => anyhow::bail!("no group {other}; there are {}", GROUPS.join(", ")),
    };
    let mut all_hold = true;
    for group in chosen {
        let figures = match group {
            "wire" => wire::measure().await?,
            "ingest" => ingest::measure().await?,
            _ => agent::measure().await?,
        };
        for figure in figures {
            all_hold &= figure.holds();
            figure.print();
        }
    }
    Ok(if all_hold {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

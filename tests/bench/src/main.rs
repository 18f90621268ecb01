//! `bench [GROUP]`: measures the product and prints one line a figure: `name value unit bar ok|short`.
//!
//! Groups: `wire` (bytes a value on recorded series of real guests), `ingest` (frames to committed rows against
//! `psql \copy` of the same rows), `agent` (what the agent costs beside other collectors on the guests that run), `backlog`
//! (a day of backlog beside live agents), `fleet` (a thousand agents on one collector), `access` (logins, and the check of each
//! request), `history` (lists, charts and top lists of ten thousand VMs, and their rollup), `live` (a thousand sockets on one web
//! server). A figure without a bar prints `-`.

#![expect(clippy::cast_precision_loss, reason = "figures have a handful of digits")]

mod access;
mod agent;
mod backlog;
mod centre;
mod figure;
mod fleet;
mod history;
mod http;
mod ingest;
mod live;
mod process;
mod recording;
mod settings;
mod statistics;
mod wire;

use figure::Report;
use std::process::ExitCode;

const GROUPS: [&str; 8] = [
    "wire", "ingest", "agent", "backlog", "fleet", "access", "history", "live",
];

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
    let is_one_of_many = chosen.len() > 1;
    let mut report = Report::new();
    for group in chosen {
        match group {
            "wire" => wire::measure(&mut report).await?,
            "ingest" => ingest::measure(&mut report).await?,
            "agent" => agent::measure(&mut report).await?,
            "backlog" => backlog::measure(&mut report).await?,
            "fleet" => fleet::measure(&mut report, is_one_of_many).await?,
            "access" => access::measure(&mut report).await?,
            "history" => history::measure(&mut report).await?,
            _ => live::measure(&mut report).await?,
        }
    }
    Ok(if report.holds {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

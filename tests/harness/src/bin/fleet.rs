//! `fleet HOSTS VMS SECONDS SEED`: runs a fleet of simulated hosts, asks about everything it sent, and reports what differs.

use anyhow::Context;
use std::process::ExitCode;
use vmscope_harness::fleet::{Scale, prove};
use vmscope_store::Flavor;
use vmscope_store::testing::Database;

#[tokio::main]
#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the report is what this program is for"
)]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [hosts, vms, seconds, seed] = arguments.as_slice() else {
        anyhow::bail!("usage: fleet HOSTS VMS SECONDS SEED")
    };
    let scale = Scale {
        hosts: hosts.parse().context("HOSTS is a number")?,
        vms: vms.parse().context("VMS is a number")?,
        seconds: seconds.parse().context("SECONDS is a number")?,
        seed: seed.parse().context("SEED is a number")?,
    };
    let database = Database::create(Flavor::Timescale).await?;
    let outcome = prove(database.url(), scale, |news| eprintln!("fleet: {news}")).await?;
    println!("{outcome:#?}");
    Ok(if outcome.holds() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

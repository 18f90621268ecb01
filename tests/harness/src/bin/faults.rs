//! `faults ROUNDS SEED`: breaks a running pipeline and counts every sample; exit code 1 when one is missing or double. Needs root.

use anyhow::Context;
use std::process::ExitCode;
use vmscope_harness::faults;

#[tokio::main]
#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the rounds and the report are what this program is for"
)]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [rounds, seed] = arguments.as_slice() else {
        anyhow::bail!("usage: faults ROUNDS SEED")
    };
    let rounds = rounds.parse().context("ROUNDS is a number")?;
    let seed = seed.parse().context("SEED is a number")?;
    let outcome = tokio::select! {
        outcome = faults::run(rounds, seed, |round| eprintln!("{round}")) => outcome?,
        // Everything is taken down on the way out.
        _ = tokio::signal::ctrl_c() => anyhow::bail!("interrupted"),
    };
    println!("{}", outcome.report());
    Ok(if outcome.holds() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

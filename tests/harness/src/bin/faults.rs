//! `faults ROUNDS SEED`: breaks a running pipeline and counts every sample; exit code 1 when one is missing or double.

use anyhow::Context;
use std::process::ExitCode;

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [rounds, seed] = arguments.as_slice() else {
        anyhow::bail!("usage: faults ROUNDS SEED")
    };
    let rounds = rounds.parse().context("ROUNDS is a number")?;
    let seed = seed.parse().context("SEED is a number")?;
    let outcome = vmscope_harness::faults::run(rounds, seed).await?;
    let report = outcome.report();
    #[expect(clippy::print_stdout, reason = "the report is what this program is for")]
    {
        println!("{report}");
    }
    Ok(if outcome.holds() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

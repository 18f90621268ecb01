//! `hostile SECONDS SEED`: misbehaves towards a collector and reports what it refused and what memory it took.

use anyhow::Context;
use std::time::Duration;
use vmscope_harness::hostile;
use vmscope_store::Flavor;
use vmscope_store::testing::Database;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [seconds, seed] = arguments.as_slice() else {
        anyhow::bail!("usage: hostile SECONDS SEED")
    };
    let length = Duration::from_secs(seconds.parse().context("SECONDS is a number")?);
    let database = Database::create(Flavor::Postgres).await?;
    let outcome = hostile::prove(database.url(), length, seed.parse().context("SEED is a number")?).await?;
    #[expect(clippy::print_stdout, reason = "the report is what this program is for")]
    {
        println!("{outcome:#?}");
    }
    Ok(())
}

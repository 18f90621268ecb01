//! What a fleet of simulated hosts sent is what the API says; `make fleet HOSTS=500 SECONDS=600` does the same at full size.

use vmscope_harness::fleet::{Outcome, Scale, prove};
use vmscope_store::Flavor;
use vmscope_store::testing::Database;

async fn fleet(flavor: Flavor, seed: u64) -> anyhow::Result<Outcome> {
    let scale = Scale {
        hosts: 50,
        vms: 20,
        seconds: 40,
        seed,
    };
    let database = Database::create(flavor).await?;
    prove(database.url(), scale, |_| {}).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_is_as_it_was_sent_on_timescale() {
    let outcome = fleet(Flavor::Timescale, 1).await.unwrap();
    assert!(outcome.holds(), "{outcome:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_is_as_it_was_sent_on_postgres() {
    let outcome = fleet(Flavor::Postgres, 2).await.unwrap();
    assert!(outcome.holds(), "{outcome:#?}");
}

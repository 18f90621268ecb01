//! Rollups against a straightforward computation of the same, and against everything that may come between.

mod exact;
mod naive;
mod scenario;
mod turns;

use vmscope_store::Store;
use vmscope_store::rollup::{Rolled, Roller};
use vmscope_store::testing::Database;

/// Rolls every host that is due.
pub(crate) async fn roll(store: &Store) -> Rolled {
    let mut roller = Roller::begin(store).await.unwrap().expect("nobody else rolls");
    let mut all = Rolled::default();
    for host in roller.due().await.unwrap() {
        all += roller.roll(host).await.unwrap();
    }
    roller.end().await.unwrap();
    all
}

/// All that the tiers say.
async fn contents(database: &Database) -> Vec<String> {
    let client = database.client().await.unwrap();
    let mut rows = Vec::new();
    for table in [
        "host_hour",
        "host_day",
        "vm_hour",
        "vm_day",
        "vcpu_hour",
        "vcpu_day",
        "disk_hour",
        "disk_day",
    ] {
        let query = format!("SELECT '{table} ' || t::text FROM {table} t ORDER BY entity_id, time");
        rows.extend(
            client
                .query(&query, &[])
                .await
                .unwrap()
                .iter()
                .map(|row| row.get::<_, String>(0)),
        );
    }
    rows
}

/// Makes every bucket anew that has samples: nothing must change by it.
async fn assert_as_the_samples_are(database: &Database) {
    let before = contents(database).await;
    assert!(!before.is_empty());
    let client = database.client().await.unwrap();
    client
        .batch_execute("UPDATE ingest_progress SET dirty_from = '2000-01-01 00:00Z'")
        .await
        .unwrap();
    assert_eq!(roll(database.store()).await.refused, 0);
    let after = contents(database).await;
    let differing = before.iter().zip(&after).find(|(before, after)| before != after);
    assert!(
        before.len() == after.len() && differing.is_none(),
        "{} {} {differing:?}",
        before.len(),
        after.len()
    );
}

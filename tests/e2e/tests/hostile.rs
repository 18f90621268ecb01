//! The collector survives strangers; `make hostile SECONDS=300` does the same for longer.

use std::time::Duration;
use vmscope_harness::hostile;
use vmscope_store::Flavor;
use vmscope_store::testing::Database;

/// Growth of resident memory that is still noise: allocator arenas and connection tables, in KiB.
const NOISE_KIB: u64 = 16 << 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_survives_strangers_and_counts_them_by_cause() {
    let database = Database::create(Flavor::Postgres).await.unwrap();
    let outcome = hostile::prove(database.url(), Duration::from_secs(20), 1)
        .await
        .unwrap();
    for cause in [
        "unknown_authority",
        "no_certificate",
        "expired",
        "wrong_role",
        "host_mismatch",
        "bad_frame",
    ] {
        assert!(
            outcome.refused.get(cause).is_some_and(|count| *count > 0),
            "{cause}: {outcome:#?}"
        );
    }
    assert!(outcome.refused.len() >= 6, "{outcome:#?}");
    assert!(
        outcome.late_rss_kib < outcome.early_rss_kib + NOISE_KIB,
        "memory grew: {outcome:#?}"
    );
}

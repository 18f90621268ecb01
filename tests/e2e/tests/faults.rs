//! The short set of the fault test; `make faults ROUNDS=.. SEED=..` runs longer ones.

/// Rounds in `make test`: about a minute.
const ROUNDS: u32 = 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_sample_is_lost_or_double_when_things_break_at_random() {
    let outcome = vmscope_harness::faults::run(ROUNDS, 1).await.unwrap();
    assert!(outcome.holds(), "{}", outcome.report());
    assert_eq!(outcome.made.values().sum::<u32>(), ROUNDS);
}

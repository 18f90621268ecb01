//! The short set of the fault test: each kind of fault once; `make faults ROUNDS=.. SEED=..` runs longer ones. Needs root.

use vmscope_harness::faults::{EACH_ONCE, run};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_sample_is_lost_or_double_when_things_break_at_random() {
    let outcome = run(EACH_ONCE, 1, |_| ()).await.unwrap();
    assert!(outcome.holds(), "{}", outcome.report());
    assert_eq!(outcome.made.values().sum::<u32>(), EACH_ONCE);
    assert!(
        outcome.made.values().all(|times| *times == 1),
        "{}",
        outcome.report()
    );
}

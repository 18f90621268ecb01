//! Tasks that end, fail, panic or hang, and what becomes of the daemon.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a helper of tests fails by panicking"
)]

use std::future::pending;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use vmscope_service::{Ending, Lifecycle};

const DEADLINE: Duration = Duration::from_secs(30);

async fn stopped(lifecycle: &Lifecycle) {
    let stopping = lifecycle.stopping();
    tokio::time::timeout(DEADLINE, stopping.cancelled())
        .await
        .expect("the daemon stops");
}

#[tokio::test]
async fn ends_cleanly_when_every_task_drains() {
    let lifecycle = Lifecycle::new();
    let (source, mut sink) = mpsc::channel(100);
    let (report, total) = oneshot::channel();
    let stopping = lifecycle.stopping();
    lifecycle.spawn("source", async move {
        for item in 0..50_u32 {
            source.send(item).await.expect("the sink lives");
        }
        stopping.cancelled().await;
        for item in 50..100 {
            source.send(item).await.expect("the sink lives");
        }
    });
    lifecycle.spawn("sink", async move {
        let mut count = 0;
        while sink.recv().await.is_some() {
            count += 1;
        }
        report.send(count).expect("the test lives");
    });
    assert_eq!(lifecycle.shutdown().await, Ending::Clean);
    assert_eq!(
        total.await,
        Ok(100),
        "the sink takes everything, whatever comes after the stop"
    );
}

fn panics() {
    panic!("as the test wants");
}

#[tokio::test]
async fn a_panic_stops_the_daemon() {
    let lifecycle = Lifecycle::new();
    let stopping = lifecycle.stopping();
    lifecycle.spawn("steady", stopping.cancelled_owned());
    lifecycle.spawn("shaky", async { panics() });
    stopped(&lifecycle).await;
    assert_eq!(lifecycle.shutdown().await, Ending::Failed(vec!["shaky"]));
}

#[tokio::test]
async fn an_error_stops_the_daemon_even_in_a_finite_task() {
    let lifecycle = Lifecycle::new();
    lifecycle.spawn_finite("reader", async {
        Err(std::io::Error::other("as the test wants"))
    });
    stopped(&lifecycle).await;
    assert_eq!(lifecycle.shutdown().await, Ending::Failed(vec!["reader"]));
}

#[tokio::test]
async fn an_early_end_stops_the_daemon_unless_the_task_is_finite() {
    let lifecycle = Lifecycle::new();
    let (done, ended) = oneshot::channel::<()>();
    lifecycle.spawn_finite("session", async move { drop(done) });
    ended.await.expect_err("dropped at its end");
    assert!(!lifecycle.stopping().is_cancelled());
    lifecycle.spawn("loop", async {});
    stopped(&lifecycle).await;
    assert_eq!(lifecycle.shutdown().await, Ending::Failed(vec!["loop"]));
}

#[tokio::test(start_paused = true)]
async fn names_the_tasks_that_do_not_drain_in_time() {
    let lifecycle = Lifecycle::with_drain_deadline(Duration::from_secs(5));
    lifecycle.spawn("stuck", pending::<()>());
    let before = tokio::time::Instant::now();
    assert_eq!(lifecycle.shutdown().await, Ending::Abandoned(vec!["stuck"]));
    assert_eq!(before.elapsed().as_secs(), 5);
}

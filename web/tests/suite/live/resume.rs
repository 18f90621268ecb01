//! Connections that were lost and come back.

use super::support::{Browser, Collector, Feed, T0_MS, VM, database};
use crate::support::Server;
use serde_json::{Value as Json, json};
use vmscope_model::access::{SUPER_ADMIN, Scope};

/// Opens a socket; gives its token.
async fn open(server: &Server) -> (Browser, String) {
    let mut browser = Browser::open(server).await;
    let hello = browser.hear_of("hello").await;
    (browser, hello["resume"].as_str().expect("a token").to_owned())
}

async fn resume(browser: &mut Browser, token: &str) -> Json {
    browser
        .say(&json!({"type": "resume", "token": token}).to_string())
        .await;
    browser.hear_of("resumed").await["ok"].take()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_back_has_his_subscriptions_and_what_he_missed() {
    let (database, collector) = (database().await, Collector::new());
    let server = collector.web(&database).await;
    let mut feed = Feed::new(collector.session().await);
    let (mut lost, token) = open(&server).await;
    lost.feed(true).await;
    let entities = [format!("vm:{VM}")];
    lost.subscribe(&entities).await;
    feed.send(T0_MS, 1_000_000_000).await;
    assert_eq!(lost.hear().await["time"], json!(T0_MS));
    drop(lost);
    let mut witness = Browser::open(&server).await;
    witness.feed(true).await;
    witness.subscribe(&entities).await;
    feed.send(T0_MS + 500, 1_250_000_000).await;
    assert_eq!(witness.hear_of("sample").await["time"], json!(T0_MS + 500));

    let (mut back, _) = open(&server).await;
    assert_eq!(resume(&mut back, &token).await, json!(true));
    assert_eq!(
        back.hear().await,
        json!({"type": "subscribed", "entities": entities})
    );
    let missed = back.snapshot().await;
    assert_eq!(missed[0]["time"], json!(T0_MS + 500));
    assert_eq!(missed[0]["values"], json!({"state": 1.0, "cpu_time_ns": 0.5}));
    feed.send(T0_MS + 1000, 1_500_000_000).await;
    assert_eq!(back.hear().await["time"], json!(T0_MS + 1000));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_was_thought_lost_ends_when_another_goes_on_for_it() {
    let database = database().await;
    let server = Server::over(database.url()).await;
    let (mut first, token) = open(&server).await;
    first.feed(false).await;
    first.subscribe(&[format!("vm:{VM}")]).await;
    let (mut second, _) = open(&server).await;
    assert_eq!(resume(&mut second, &token).await, json!(true));
    assert_eq!(first.end().await, "resumed by another connection");
    assert_eq!(
        resume(&mut second, &token).await,
        json!(false),
        "a token is good once"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_good_for_its_person_only() {
    let database = database().await;
    let server = Server::over(database.url()).await;
    let (mut first, token) = open(&server).await;
    first.feed(false).await;
    first.subscribe(&[format!("vm:{VM}")]).await;
    let (_, eve) = server
        .person(database.store(), "eve", &[(SUPER_ADMIN, Scope::All)])
        .await;
    let mut eve = Browser::open_by(&server, &eve).await;
    assert_eq!(resume(&mut eve, &token).await, json!(false));
    assert_eq!(resume(&mut eve, "").await, json!(false));
    first.say(r#"{"type":"ping"}"#).await;
    assert_eq!(first.hear().await, json!({"type": "pong"}), "it is still there");
}

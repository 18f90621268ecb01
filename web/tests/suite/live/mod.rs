//! Live samples: a real collector's end of the link on one side, real browsers' sockets on the other.

mod follow;
mod resume;
mod support;

use crate::support::Server;
use futures_util::SinkExt;
use serde_json::json;
use support::{Browser, Collector, Feed, HOST, T0_MS, VM, database, request};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::{self, Message as Text};
use uuid::Uuid;
use vmscope_link::CloseCode;
use vmscope_model::wire::{self, Message};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn samples_come_as_rates_to_who_asked_for_them() {
    let (database, collector) = (database().await, Collector::new());
    let server = collector.web(&database).await;
    let mut feed = Feed::new(collector.session().await);
    let (mut browser, mut other) = (Browser::open(&server).await, Browser::open(&server).await);
    browser.feed(true).await;
    other.feed(true).await;
    assert_eq!(
        browser.subscribe(&[format!("vm:{VM}")]).await,
        json!([]),
        "nothing is known yet"
    );
    other.subscribe(&[format!("host:{HOST}")]).await;

    feed.send(T0_MS, 1_000_000_000).await;
    let first =
        json!({"type": "sample", "entity": format!("vm:{VM}"), "time": T0_MS, "values": {"state": 1.0}});
    assert_eq!(browser.hear().await, first);
    let host = json!({"type": "sample", "entity": format!("host:{HOST}"), "time": T0_MS, "values": {"load_1m": 2.5}});
    assert_eq!(other.hear().await, host);

    feed.send(T0_MS + 500, 1_250_000_000).await;
    let second = browser.hear().await;
    assert_eq!(
        (&second["time"], &second["values"]),
        (&json!(T0_MS + 500), &json!({"state": 1.0, "cpu_time_ns": 0.5}))
    );

    browser
        .say(&json!({"type": "unsubscribe", "entities": [format!("vm:{VM}")]}).to_string())
        .await;
    assert_eq!(
        browser.hear().await,
        json!({"type": "subscribed", "entities": []})
    );
    feed.send(T0_MS + 1000, 1_500_000_000).await;
    assert_eq!(other.hear().await["time"], json!(T0_MS + 500));
    assert_eq!(other.hear().await["time"], json!(T0_MS + 1000));
    browser.say(r#"{"type":"ping"}"#).await;
    assert_eq!(browser.hear().await, json!({"type": "pong"}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_collector_is_told_and_dialled_again() {
    let (database, collector) = (database().await, Collector::new());
    let server = collector.web(&database).await;
    let first = collector.session().await;
    let mut browser = Browser::open(&server).await;
    browser.feed(true).await;
    browser.subscribe(&[format!("vm:{VM}")]).await;
    first.close(CloseCode::Done, "restart");
    browser.feed(false).await;
    let mut feed = Feed::new(collector.session().await);
    browser.feed(true).await;
    feed.send(T0_MS, 1).await;
    assert_eq!(browser.hear().await["entity"], json!(format!("vm:{VM}")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frame_that_can_not_be_read_costs_the_session_only() {
    let (database, collector) = (database().await, Collector::new());
    let server = collector.web(&database).await;
    let mut session = collector.session().await;
    let mut browser = Browser::open(&server).await;
    browser.feed(true).await;
    let garbage = wire::Frame {
        host: HOST,
        body: vec![0xff; 100],
    };
    session.sender.send(&Message::Frame(garbage)).await.expect("sent");
    browser.feed(false).await;
    let _again = collector.session().await;
    browser.feed(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nonsense_is_answered_and_the_connection_stays() {
    let database = database().await;
    let server = Server::over(database.url()).await;
    let mut browser = Browser::open(&server).await;
    browser.feed(false).await;
    let many: Vec<_> = (0..1001)
        .map(|id| format!("vm:{}", Uuid::from_u128(id)))
        .collect();
    for nonsense in [
        "{".to_owned(),
        "[]".to_owned(),
        json!({"type": "dance"}).to_string(),
        json!({"type": "subscribe"}).to_string(),
        json!({"type": "subscribe", "entities": ["disk:1"]}).to_string(),
        json!({"type": "subscribe", "entities": ["vm:1"]}).to_string(),
        json!({"type": "subscribe", "entities": [], "more": 1}).to_string(),
        json!({"type": "subscribe", "entities": many}).to_string(),
        json!({"type": "subscribe", "entities": [format!("group:{VM}")]}).to_string(),
        json!({"type": "resume"}).to_string(),
    ] {
        browser.say(&nonsense).await;
        let answer = browser.hear().await;
        assert_eq!(
            (&answer["type"], &answer["code"]),
            (&json!("error"), &json!(40001)),
            "{nonsense}: {answer}"
        );
    }
    browser.0.send(Text::binary(vec![1, 2])).await.expect("sent");
    assert_eq!(browser.hear().await["code"], json!(40000));
    browser.say(r#"{"type":"ping"}"#).await;
    assert_eq!(browser.hear().await, json!({"type": "pong"}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_other_sites_get_no_socket() {
    let database = database().await;
    let server = Server::over(database.url()).await;
    let open = async |origin: &str| connect_async(request(&server, Some(origin))).await.map(|_| ());
    let Err(tungstenite::Error::Http(refused)) = open("http://evil.example").await else {
        panic!("another site was let in")
    };
    assert_eq!(refused.status().as_u16(), 403);
    open(&format!("http://{}", server.address))
        .await
        .expect("the own page");
    assert_eq!(server.get("/api/v1/live").await.status, 400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_begins_with_its_name_and_its_token() {
    let database = database().await;
    let server = Server::over(database.url()).await;
    let (mut browser, mut other) = (Browser::open(&server).await, Browser::open(&server).await);
    let (one, two) = (browser.hear().await, other.hear().await);
    assert_eq!(
        (&one["type"], &one["resume_s"], &one["ping_s"]),
        (&json!("hello"), &json!(60), &json!(20))
    );
    assert_eq!(one["resume"].as_str().expect("a token").len(), 43);
    assert!(one["resume"] != two["resume"] && one["session"] != two["session"]);
    assert_eq!(browser.hear().await, json!({"type": "feed", "connected": false}));
    browser.say(r#"{"type":"pong"}"#).await;
    browser.say(r#"{"type":"ping"}"#).await;
    assert_eq!(
        browser.hear().await,
        json!({"type": "pong"}),
        "a pong needs no answer"
    );
}

//! Groups that are watched, what is known before the first sample, and rights that change meanwhile.

use super::support::{Browser, Collector, Feed, HOST, T0_MS, VM, database};
use crate::fleet::{self, BUSY, IDLE};
use crate::support::{Server, nobody};
use serde_json::{Value as Json, json};
use uuid::Uuid;
use vmscope_model::VmId;
use vmscope_model::access::{SUPER_ADMIN, Scope, VIEWER};
use vmscope_store::access::Authority;
use vmscope_store::{Store, grant};

/// Makes a group.
async fn make_group(server: &Server, name: &str) -> Uuid {
    let group = server
        .post("/api/v1/groups", &json!({"name": name, "description": ""}))
        .await;
    group.json()["data"]["id"]
        .as_str()
        .and_then(|id| id.parse().ok())
        .expect("an id")
}

async fn change(server: &Server, group: Uuid, add: &[VmId], remove: &[VmId]) {
    let path = format!("/api/v1/groups/{group}/members");
    server
        .send("PUT", &path, &json!({"add": add, "remove": remove}))
        .await
        .data();
}

fn group_message(group: Uuid, members: &[VmId]) -> Json {
    let entities: Vec<String> = members.iter().map(|id| format!("vm:{id}")).collect();
    json!({"type": "group", "group": format!("group:{group}"), "entities": entities, "more": 0})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_is_watched_whoever_is_in_it() {
    let (database, collector) = (database().await, Collector::new());
    fleet::write(&database).await;
    let server = collector.web(&database).await;
    let mut feed = Feed::new(collector.session().await);
    let group = make_group(&server, "web servers").await;
    change(&server, group, &[IDLE], &[]).await;
    let mut browser = Browser::open(&server).await;
    browser.feed(true).await;
    let entities = [format!("group:{group}")];
    browser
        .say(&json!({"type": "subscribe", "entities": entities}).to_string())
        .await;
    assert_eq!(
        browser.hear().await,
        json!({"type": "subscribed", "entities": entities})
    );
    assert_eq!(browser.hear().await, group_message(group, &[IDLE]));
    browser.snapshot().await;

    change(&server, group, &[VM], &[IDLE]).await;
    assert_eq!(
        browser.hear().await,
        group_message(group, &[VM]),
        "it is told of the change"
    );
    assert_eq!(browser.snapshot().await[0]["entity"], json!(format!("vm:{VM}")));
    feed.send(T0_MS, 1).await;
    assert_eq!(browser.hear().await["entity"], json!(format!("vm:{VM}")));

    let deleted = server
        .send("DELETE", &format!("/api/v1/groups/{group}"), &json!({}))
        .await;
    assert_eq!(deleted.status, 200, "{}", deleted.body);
    assert_eq!(
        browser.hear().await,
        json!({"type": "subscribed", "entities": []})
    );
    feed.send(T0_MS + 500, 2).await;
    browser.say(r#"{"type":"ping"}"#).await;
    assert_eq!(
        browser.hear().await,
        json!({"type": "pong"}),
        "nobody is in a group that is gone"
    );
}

/// The server has just started, and no collector feeds it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_feed_has_told_is_known_from_the_database() {
    let database = database().await;
    fleet::write(&database).await;
    let server = Server::over(database.url()).await;
    let mut browser = Browser::open(&server).await;
    browser.feed(false).await;
    let nobody_knows = format!("vm:{}", Uuid::from_u128(9));
    let (busy, host) = (format!("vm:{BUSY}"), format!("host:{HOST}"));
    let mut snapshot = browser
        .subscribe(&[host.clone(), nobody_knows, busy.clone()])
        .await;
    let samples = snapshot.as_array_mut().expect("samples");
    samples.sort_by_key(|sample| sample["entity"].to_string());
    assert_eq!(samples.len(), 2, "{samples:?}");
    assert_eq!(
        (&samples[0]["entity"], &samples[1]["entity"]),
        (&json!(host), &json!(busy))
    );
    assert_eq!(samples[1]["values"]["state"], json!(1.0), "{}", samples[1]);
    let again = browser.subscribe_again(&busy).await;
    assert_eq!(again[0], samples[1], "also for what is watched already");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_watches_what_is_within_reach_and_only_as_long_as_it_is() {
    let (database, collector) = (database().await, Collector::new());
    fleet::write(&database).await;
    let server = collector.web(&database).await;
    let mut feed = Feed::new(collector.session().await);
    let (ours, theirs) = (
        make_group(&server, "ours").await,
        make_group(&server, "theirs").await,
    );
    change(&server, ours, &[VM], &[]).await;
    change(&server, theirs, &[VM, IDLE], &[]).await;
    let (id, token) = server
        .person(database.store(), "vera", &[(VIEWER, Scope::Group(ours))])
        .await;
    let mut browser = Browser::open_by(&server, &token).await;
    browser.feed(true).await;
    for hidden in [format!("vm:{IDLE}"), format!("group:{theirs}")] {
        browser
            .say(&json!({"type": "subscribe", "entities": [hidden]}).to_string())
            .await;
        let refused = browser.hear().await;
        assert_eq!(
            (&refused["type"], &refused["code"]),
            (&json!("error"), &json!(40001))
        );
        assert!(
            refused["message"].as_str().expect("a text").contains(&hidden),
            "{refused}"
        );
    }
    browser
        .say(
            &json!({"type": "subscribe", "entities": [format!("group:{ours}"), format!("vm:{VM}")]})
                .to_string(),
        )
        .await;
    browser.snapshot().await;
    feed.send(T0_MS, 1).await;
    assert_eq!(browser.hear().await["entity"], json!(format!("vm:{VM}")));

    change(&server, ours, &[IDLE], &[VM]).await;
    let left = browser.hear_of("subscribed").await;
    assert_eq!(
        left["entities"],
        json!([format!("group:{ours}")]),
        "what left the group is out of reach"
    );
    while browser.hear_of("group").await != group_message(ours, &[IDLE]) {}
    take_away(database.store(), id, ours).await;
    assert_eq!(browser.hear_of("subscribed").await["entities"], json!([]));
    feed.send(T0_MS + 500, 2).await;
    browser.say(r#"{"type":"ping"}"#).await;
    assert_eq!(browser.hear().await, json!({"type": "pong"}));
}

/// Takes somebody's grants for a group away.
async fn take_away(store: &Store, user: Uuid, group: Uuid) {
    let grants = grant::list(store, user).await.expect("grants");
    for held in grants.iter().filter(|held| held.scope == Scope::Group(group)) {
        grant::delete(store, &nobody(), Authority::System, user, held.id)
            .await
            .expect("deleted");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_connection_ends_with_the_session() {
    let database = database().await;
    let server = Server::over(database.url()).await;
    let (_, token) = server
        .person(database.store(), "vera", &[(SUPER_ADMIN, Scope::All)])
        .await;
    let mut browser = Browser::open_by(&server, &token).await;
    browser.feed(false).await;
    browser.subscribe(&[format!("vm:{VM}")]).await;
    let out = server
        .by(&token, "POST", "/api/v1/auth/logout", Some(&json!({})))
        .await;
    assert_eq!(out.status, 200, "{}", out.body);
    assert_eq!(browser.end().await, "not logged in any more");
}

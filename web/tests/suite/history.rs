//! History of many things, top lists, and who may see them.

use crate::fleet::{self, BUSY, Fleet, HOST, IDLE, TICKS};
use crate::support::{Server, send};
use jiff::Timestamp;
use serde_json::{Value as Json, json};
use vmscope_model::access::{Scope, VIEWER};
use vmscope_store::Flavor;
use vmscope_store::testing::Database;

const QUERY: &str = "/api/v1/history/query";

/// A query about the minute that the fleet has samples of.
fn minute(fleet: &Fleet, more: &Json) -> Json {
    let to = Timestamp::from_second(fleet.from.as_second() + TICKS).expect("a time");
    let mut query =
        json!({"kind": "vm", "metrics": ["cpu_time_ns"], "from": fleet.from, "to": to, "step": 10});
    let fields = query.as_object_mut().expect("an object");
    fields.extend(more.as_object().expect("an object").clone());
    query
}

/// What is wrong with which field.
fn faults(problem: &Json) -> Vec<(String, String)> {
    let text = |value: &Json| value.as_str().expect("a text").to_owned();
    let fields = problem["data"]["fields"].as_array().expect("fields");
    fields
        .iter()
        .map(|field| (text(&field["field"]), text(&field["code"])))
        .collect()
}

vmscope_store::on_both_flavors! {
    async fn answers_about_many_on_one_axis(database: Database) {
        let fleet = fleet::write(&database).await;
        let server = Server::over(database.url()).await;
        let both = json!({"entities": [format!("vm:{IDLE}"), format!("vm:{BUSY}")], "metrics": ["cpu_time_ns", "state"]});
        let history = server.post(QUERY, &minute(&fleet, &both)).await.data();
        assert_eq!((&history["kind"], &history["step_s"], &history["function"]), (&json!("vm"), &json!(10), &json!("avg")));
        assert_eq!(history["times"].as_array().map(Vec::len), Some(6));
        assert_eq!(history["times"][1], json!(fleet.from.as_millisecond() + 10_000));
        let series = history["series"].as_array().expect("series");
        let of = |place: usize| (&series[place]["entity"]["name"], &series[place]["metric"], &series[place]["unit"]);
        assert_eq!(of(0), (&json!("Idle_100%"), &json!("cpu_time_ns"), &json!("s/s")));
        assert_eq!(of(3), (&json!("busy"), &json!("state"), &json!("state")));
        assert_eq!(series[0]["values"], json!([null, null, null, null, null, null]));
        assert_eq!(series[2]["values"], json!([0.25, 0.25, 0.25, 0.25, 0.25, 0.25]));
        assert_eq!(series[2]["entity"], json!({
            "id": format!("vm:{BUSY}"), "name": "busy", "host": {"id": HOST.to_string(), "name": "alpha"},
            "vm": {"id": BUSY.to_string(), "name": "busy"},
        }));
        assert_eq!(series[2].get("compared"), None);
        assert_eq!(history["tiers"][0]["tier"], json!("raw"));
        let gap = &history["gaps"][0];
        assert_eq!((&gap["entity"], &gap["cause"]), (&json!(format!("vm:{BUSY}")), &json!("deadline")));
        assert_eq!(history["truncated"], json!(false));
    }

    async fn every_function_and_an_earlier_period_can_be_had(database: Database) {
        let fleet = fleet::write(&database).await;
        let server = Server::over(database.url()).await;
        let of = async |more: Json| {
            let mut query = minute(&fleet, &json!({"hosts": [HOST.to_string()], "top": {"n": 1}}));
            query.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
            server.post(QUERY, &query).await.data()["series"][0].clone()
        };
        for function in ["avg", "min", "max", "last", "p95"] {
            assert_eq!(of(json!({"function": function})).await["values"], json!([0.25, 0.25, 0.25, 0.25, 0.25, 0.25]), "{function}");
        }
        // The first sample has none before it, and the counter started again in the middle.
        let count = of(json!({"function": "count"})).await;
        assert_eq!((&count["values"], &count["unit"]), (&json!([9.0, 10.0, 10.0, 9.0, 10.0, 10.0]), &json!("s")));
        let busiest = json!({"n": 1, "metric": "cpu_time_ns"});
        // Everything that is covered is in one state or another.
        for (state, seconds) in [("running", json!([9.0, 10.0, 10.0, 10.0, 10.0, 10.0])), ("paused", json!([0.0, 0.0, 0.0, 0.0, 0.0, 0.0]))] {
            let inside = of(json!({"metrics": ["state"], "top": busiest, "function": "in_state", "state": state})).await;
            assert_eq!((&inside["values"], &inside["unit"]), (&seconds, &json!("s")), "{state}");
        }
        let samples = of(json!({"metrics": ["state"], "top": busiest, "function": "count", "step": "raw"})).await;
        assert_eq!(samples["values"][1], json!(1.0));
        let compared = of(json!({"compare": {"shift_s": 30}})).await;
        assert_eq!(compared["compared"], json!([null, null, null, 0.25, 0.25, 0.25]));
        let host = minute(&fleet, &json!({"kind": "host", "hosts": [HOST.to_string()], "metrics": ["load_1m"], "step": 60}));
        assert_eq!(server.post(QUERY, &host).await.data()["series"][0]["values"][0], json!(1.5));
        let disk = minute(&fleet, &json!({"kind": "disk", "hosts": [HOST.to_string()], "metrics": ["read_bytes"], "step": "raw"}));
        let disk = server.post(QUERY, &disk).await.data();
        assert_eq!(disk["series"][0]["entity"]["id"], json!(format!("disk:{}", fleet.disk)));
        assert_eq!((&disk["series"][0]["values"][1], &disk["step_s"]), (&json!(4096.0), &json!(0)));
    }

    async fn top_lists_put_things_in_order(database: Database) {
        fleet::write(&database).await;
        let server = Server::over(database.url()).await;
        let top = server.get("/api/v1/top?kind=vm&metric=cpu_time_ns&n=5&range=120").await.data();
        let items = top["items"].as_array().expect("items");
        assert_eq!((items.len(), &items[0]["entity"]["name"]), (1, &json!("busy")));
        // A quarter of a core, but for the last sample, which comes late.
        let value = items[0]["value"].as_f64().expect("a number");
        assert!((0.1..0.251).contains(&value), "{top}");
        assert_eq!((&top["by"], &top["unit"], &top["kind"]), (&json!("avg"), &json!("s/s"), &json!("vm")));
        let least = server.get("/api/v1/top?kind=vm&metric=state&by=last&direction=asc").await.data();
        assert_eq!(least["items"][0]["entity"]["name"], json!("busy"));
        assert_eq!(least["items"][1]["entity"]["name"], json!("Idle_100%"));
    }

    async fn nobody_sees_more_than_his_groups(database: Database) {
        let fleet = fleet::write(&database).await;
        let server = Server::over(database.url()).await;
        let made = server.post("/api/v1/groups", &json!({"name": "shop"})).await.data();
        let group = made["id"].as_str().expect("an id").to_owned();
        let members = json!({"add": [IDLE.to_string()]});
        server.send("PUT", &format!("/api/v1/groups/{group}/members"), &members).await.data();
        let other = server.post("/api/v1/groups", &json!({"name": "other"})).await.data();
        let scope = Scope::Group(group.parse().expect("a UUID"));
        let (_, token) = server.person(database.store(), "ada", &[(VIEWER, scope)]).await;
        let ask = async |more: Json| {
            let query = minute(&fleet, &more);
            server.by(&token, "POST", QUERY, Some(&query)).await
        };
        let own = ask(json!({"group": group, "metrics": ["memory_used_bytes"]})).await.data();
        assert_eq!(own["series"][0]["entity"]["name"], json!("Idle_100%"));
        assert_eq!(own["series"].as_array().map(Vec::len), Some(1));
        let strange = ask(json!({"entities": [format!("vm:{IDLE}"), format!("vm:{BUSY}")]})).await;
        assert_eq!(faults(&strange.json()), [("entities[1]".to_owned(), "not_found".to_owned())]);
        let strange = ask(json!({"group": other["id"]})).await;
        assert_eq!(faults(&strange.json()), [("group".to_owned(), "not_found".to_owned())]);
        let disks = ask(json!({"kind": "disk", "hosts": [HOST.to_string()], "metrics": ["read_bytes"]})).await.data();
        assert_eq!(disks["series"], json!([]), "the disk of another one's machine");
        let top = server.by(&token, "GET", "/api/v1/top?kind=vm&metric=state", None).await.data();
        assert_eq!(top["items"].as_array().map(Vec::len), Some(1));
        let (_, nobody) = server.person(database.store(), "bob", &[]).await;
        let answer = server.by(&nobody, "POST", QUERY, Some(&minute(&fleet, &json!({"group": group})))).await;
        assert_eq!((answer.status, &answer.json()["code"]), (403, &json!(40301)));
    }
}

/// What is asked for instead of a machine's own minute, and what is wrong with it.
const NONSENSE: [(&str, &str, &str); 22] = [
    (r#"{"entities": null}"#, "entities", "missing"),
    (
        r#"{"group": "00000000-0000-4000-8000-0000000000ff"}"#,
        "entities",
        "conflict",
    ),
    (r#"{"entities": []}"#, "entities", "too_short"),
    (r#"{"entities": ["vm:1"]}"#, "entities[0]", "format"),
    (r#"{"entities": ["disk:1"]}"#, "entities[0]", "unknown_value"),
    (r#"{"metrics": []}"#, "metrics", "too_short"),
    (
        r#"{"metrics": ["cpu_time_ns", "speed"]}"#,
        "metrics[1]",
        "unknown_value",
    ),
    (r#"{"step": 0}"#, "step", "range"),
    (r#"{"step": "fast"}"#, "step", "type"),
    (r#"{"function": "median"}"#, "function", "unknown_value"),
    (r#"{"function": "p95", "tier": "hour"}"#, "tier", "conflict"),
    (
        r#"{"compare": {"shift_s": 15}}"#,
        "compare.shift_s",
        "not_multiple",
    ),
    (r#"{"compare": {"shift_s": 0}}"#, "compare.shift_s", "range"),
    (
        r#"{"compare": {"shift_s": 60}, "step": "raw"}"#,
        "compare",
        "conflict",
    ),
    (r#"{"function": "in_state"}"#, "state", "missing"),
    (r#"{"state": "running"}"#, "state", "conflict"),
    (
        r#"{"function": "in_state", "state": "running"}"#,
        "state",
        "unknown_value",
    ),
    (
        r#"{"metrics": ["state"], "function": "in_state", "state": "tired"}"#,
        "state",
        "unknown_value",
    ),
    (r#"{"top": {"n": 0}}"#, "top.n", "range"),
    (
        r#"{"top": {"n": 1, "metric": "speed"}}"#,
        "top.metric",
        "unknown_value",
    ),
    (r#"{"to": "2020-01-01T00:00:00Z"}"#, "from", "order"),
    (r#"{"frmo": 1}"#, "frmo", "unknown"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_makes_no_sense_is_told_field_by_field() {
    let database = Database::create(Flavor::Postgres).await.expect("a database");
    let fleet = fleet::write(&database).await;
    let server = Server::over(database.url()).await;
    for (more, field, code) in NONSENSE {
        let mut query = minute(&fleet, &json!({"entities": [format!("vm:{BUSY}")]}));
        let more: Json = serde_json::from_str(more).expect("JSON");
        let fields = query.as_object_mut().expect("an object");
        fields.extend(more.as_object().expect("an object").clone());
        let problem = server.post(QUERY, &query).await.json();
        assert_eq!(problem["code"], json!(40003), "{query}: {problem}");
        let told = faults(&problem).contains(&(field.to_owned(), code.to_owned()));
        assert!(told, "{query}: {problem}");
    }
    for path in [
        "metric=cpu_time_ns",
        "kind=vm&metric=speed",
        "kind=vm&metric=state&n=101",
        "kind=vm&metric=state&range=1",
        "kind=vm&metric=state&by=p95",
    ] {
        let answer = server.get(&format!("/api/v1/top?{path}")).await;
        assert_eq!(
            (answer.status, &answer.json()["code"]),
            (400, &json!(40001)),
            "{path}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_much_is_refused_with_what_to_ask_for_instead() {
    let database = Database::create(Flavor::Postgres).await.expect("a database");
    fleet::write(&database).await;
    let server = Server::over(database.url()).await;
    let query = |from: &str, step: Json| {
        json!({"kind": "vm", "entities": [format!("vm:{BUSY}"), format!("vm:{IDLE}")], "metrics": ["cpu_time_ns", "state"],
            "from": from, "to": "2026-02-01T00:00:00Z", "step": step})
    };
    let values = query("2026-01-01T00:00:00Z", json!(30));
    let samples = query("2025-12-01T00:00:00Z", json!(420));
    for (body, code, words) in [
        (
            &values,
            41300,
            [
                ("en", "longer step"),
                ("zh-CN", "加大步长"),
                ("ja-JP", "間隔を長く"),
            ],
        ),
        (
            &samples,
            41302,
            [
                ("en", "whole hours"),
                ("zh-CN", "整小时"),
                ("ja-JP", "1 時間単位"),
            ],
        ),
    ] {
        for (language, word) in words {
            let bearer = format!("Bearer {}", server.token.as_deref().expect("a token"));
            let headers = [
                ("Content-Type", "application/json"),
                ("Accept-Language", language),
                ("Authorization", bearer.as_str()),
            ];
            let answer = send(server.address, "POST", QUERY, &headers, body.to_string()).await;
            let problem = answer.json();
            assert_eq!(
                (answer.status, &problem["code"]),
                (413, &json!(code)),
                "{problem}"
            );
            assert!(
                problem["message"].as_str().expect("a message").contains(word),
                "{problem}"
            );
        }
    }
}

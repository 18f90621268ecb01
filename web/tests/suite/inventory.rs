//! Labels, groups by rule and within groups, and the lists of the inventory, by real HTTP.

use crate::fleet::{self, BUSY, HOST, IDLE};
use crate::support::{Answer, Server};
use serde_json::{Value as Json, json};
use vmscope_model::access::{OPERATOR, Scope, VIEWER};
use vmscope_store::Flavor;
use vmscope_store::testing::Database;

async fn fleet() -> (Database, Server) {
    let database = Database::create(Flavor::Postgres).await.expect("a database");
    fleet::write(&database).await;
    let server = Server::over(database.url()).await;
    (database, server)
}

fn names(list: &Json) -> Vec<&str> {
    let items = list["items"].as_array().expect("items").iter();
    items.map(|item| item["name"].as_str().expect("a name")).collect()
}

/// The only wrong field of an answer: its name, code and position.
fn wrong(answer: &Answer) -> (String, String, Json) {
    assert_eq!(answer.status, 400, "{}", answer.body);
    let field = &answer.json()["data"]["fields"][0];
    let text = |name: &str| field[name].as_str().expect("a text").to_owned();
    (text("field"), text("code"), field["position"].clone())
}

async fn made(server: &Server, body: &Json) -> String {
    let group = server.post("/api/v1/groups", body).await.data();
    group["id"].as_str().expect("an id").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn machines_are_labelled_found_and_grouped() {
    let (_database, server) = fleet().await;
    let labels = format!("/api/v1/vms/{BUSY}/labels");
    let set = json!({"labels": {"env": "prod", "tier": "web"}});
    assert_eq!(server.send("PUT", &labels, &set).await.data(), set);
    let wrong_key = server
        .send("PUT", &labels, &json!({"labels": {"Env": "prod"}}))
        .await;
    assert_eq!(wrong(&wrong_key).0, "labels.Env");
    let of_host = format!("/api/v1/hosts/{HOST}/labels");
    server
        .send("PUT", &of_host, &json!({"labels": {"rack": "12"}}))
        .await
        .data();
    let found = async |query: &str| server.get(&format!("/api/v1/vms?{query}")).await.data();
    for query in [
        "label=env%3Dprod,tier",
        "q=tier%3DWEB",
        "label=env",
        "vcpus_min=2",
        "q=192.0.2.1/24&archived=all",
    ] {
        assert_eq!(names(&found(query).await), ["busy"], "{query}");
    }
    assert_eq!(
        found("label=env%3Dprod").await["items"][0]["labels"],
        set["labels"]
    );
    assert_eq!(names(&found("q=alpha").await).len(), 2, "by the host's name");
    for query in [
        "label=env%3Dtest",
        "vcpus_min=3",
        "manual=true",
        "archived=true",
        "reporting=false",
        "q=rack",
    ] {
        assert_eq!(names(&found(query).await), Vec::<&str>::new(), "{query}");
    }
    let hosts = server
        .get("/api/v1/hosts?label=rack%3D12&q=RACK&sort=-memory,name")
        .await
        .data();
    assert_eq!(
        (names(&hosts), &hosts["items"][0]["labels"]),
        (vec!["alpha"], &json!({"rack": "12"}))
    );

    let preview = json!({"rule": "label.env = prod and host.label.rack in (12, 13)"});
    let preview = server.post("/api/v1/groups/preview", &preview).await.data();
    assert_eq!(
        preview,
        json!({"matching": 1, "sample": [{"id": BUSY.to_string(), "name": "busy"}]})
    );
    let inner = made(&server, &json!({"name": "inner", "rule": "label.env = prod"})).await;
    let outer = made(&server, &json!({"name": "outer", "children": [inner]})).await;
    assert_eq!(names(&found(&format!("group={outer}")).await), ["busy"]);
    let members = server
        .get(&format!("/api/v1/groups/{outer}/members"))
        .await
        .data();
    assert_eq!(members["items"][0]["sources"], json!(["nested"]));
    let group = server.get(&format!("/api/v1/groups/{outer}")).await.data();
    assert_eq!(
        (&group["children"], &group["rule"]),
        (&json!([{"id": inner, "name": "inner"}]), &json!(null))
    );
    let machine = server.get(&format!("/api/v1/vms/{BUSY}")).await.data();
    let membership =
        |id: &str, name: &str, source: &str| json!({"id": id, "name": name, "sources": [source]});
    assert_eq!(
        machine["groups"],
        json!([
            membership(&inner, "inner", "rule"),
            membership(&outer, "outer", "nested")
        ])
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_rule_is_told_with_its_place_in_three_languages() {
    let (_database, server) = fleet().await;
    let body = json!({"name": "x", "rule": "label.env = prod and hots = a"});
    let refused = server.post("/api/v1/groups", &body).await;
    assert_eq!(wrong(&refused), ("rule".to_owned(), "rule".to_owned(), json!(21)));
    for (language, text) in [("zh-CN", "没有该字段"), ("ja", "そのような項目")] {
        let headers = [
            ("Content-Type", "application/json"),
            ("Accept-Language", language),
        ];
        let answer = server.with_body(
            "POST",
            "/api/v1/groups/preview",
            &headers,
            r#"{"rule":"x = y"}"#.to_owned(),
        );
        let answer = answer.await;
        assert!(answer.body.contains(text), "{}", answer.body);
    }
    let one = made(&server, &json!({"name": "one"})).await;
    let two = made(&server, &json!({"name": "two", "children": [one]})).await;
    let circle = json!({"name": "one", "children": [two]});
    let refused = server
        .send("PATCH", &format!("/api/v1/groups/{one}"), &circle)
        .await;
    assert_eq!((refused.status, &refused.json()["code"]), (409, &json!(40_904)));
    let nobody = json!({"name": "one", "children": ["00000000-0000-4000-8000-0000000000ff"]});
    let refused = server
        .send("PATCH", &format!("/api/v1/groups/{one}"), &nobody)
        .await;
    assert_eq!(wrong(&refused).1, "not_found");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_says_what_became_of_each_and_is_audited() {
    let (_database, server) = fleet().await;
    let group = made(&server, &json!({"name": "batch"})).await;
    let unknown = "00000000-0000-4000-8000-0000000000ff";
    let body = json!({
        "ids": [BUSY.to_string(), IDLE.to_string(), unknown],
        "labels": {"set": {"env": "prod"}, "remove": ["tier"]}, "groups": {"add": [group]},
    });
    let done = server.post("/api/v1/vms/batch", &body).await.data();
    let results: Vec<_> = done["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|item| &item["result"])
        .collect();
    assert_eq!(results, [&json!("done"), &json!("done"), &json!("unknown")]);
    let again = server.post("/api/v1/vms/batch", &body).await.data();
    assert_eq!(again["items"][0]["result"], json!("unchanged"));
    let entries = server.get("/api/v1/audit?action=vm.edit").await.data();
    assert_eq!(entries["items"].as_array().expect("entries").len(), 1);
    let entry = &entries["items"][0];
    assert_eq!(entry["before"]["labels"][BUSY.to_string()], json!({}));
    assert_eq!(entry["after"]["labels"][IDLE.to_string()], json!({"env": "prod"}));
    assert_eq!(entry["after"]["added_to"], json!([group]));
    for (body, field) in [
        (json!({"ids": []}), "ids"),
        (
            json!({"ids": [unknown], "labels": {"set": {"A": ""}}}),
            "labels.set.A",
        ),
        (
            json!({"ids": [unknown], "groups": {"add": [unknown]}}),
            "groups.add",
        ),
    ] {
        assert_eq!(wrong(&server.post("/api/v1/vms/batch", &body).await).0, field);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_goes_on_where_its_cursor_says() {
    let (_database, server) = fleet().await;
    for sort in [
        "",
        "name",
        "-name",
        "-state,name",
        "host,-vcpus",
        "last_sample_at,-memory_used",
    ] {
        let all = server.get(&format!("/api/v1/vms?sort={sort}")).await.data();
        let first = server
            .get(&format!("/api/v1/vms?limit=1&sort={sort}"))
            .await
            .data();
        let cursor = first["next_cursor"].as_str().expect("a cursor");
        let second = server
            .get(&format!("/api/v1/vms?limit=1&sort={sort}&cursor={cursor}"))
            .await
            .data();
        let parts = [names(&first), names(&second)].concat();
        assert_eq!(parts, names(&all), "{sort}");
        assert_eq!(
            (&second["next_cursor"], &second["page"], &second["total"]),
            (&json!(null), &json!(0), &json!(2))
        );
        let other = server
            .get(&format!("/api/v1/vms?sort=first_seen_at&cursor={cursor}"))
            .await;
        assert_eq!(
            (other.status, &other.json()["code"]),
            (400, &json!(40_001)),
            "of another order"
        );
    }
    for query in [
        "cursor=x",
        "cursor=eyJ9",
        "limit=0",
        "limit=1&page=2",
        "sort=name,name,name,name,name",
        "label=A",
        "archived=some",
    ] {
        let answer = server.get(&format!("/api/v1/vms?{query}")).await;
        assert_eq!(
            (answer.status, &answer.json()["code"]),
            (400, &json!(40_001)),
            "{query}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_a_group_alone_moves_nothing_into_it() {
    let (database, server) = fleet().await;
    let group = made(&server, &json!({"name": "own"})).await;
    let own = Scope::Group(group.parse().expect("a UUID"));
    let put = json!({"add": [BUSY.to_string()]});
    server
        .send("PUT", &format!("/api/v1/groups/{group}/members"), &put)
        .await
        .data();
    let (_, ada) = server.person(database.store(), "ada", &[(OPERATOR, own)]).await;
    let (_, eve) = server
        .person(database.store(), "eve", &[(VIEWER, Scope::All)])
        .await;
    let send = async |token: &str, method: &str, path: &str, body: Json| {
        let answer = server
            .by(token, method, &format!("/api/v1{path}"), Some(&body))
            .await;
        answer.status
    };
    let labels = json!({"labels": {"env": "prod"}});
    assert_eq!(
        send(&ada, "PUT", &format!("/vms/{BUSY}/labels"), labels.clone()).await,
        200
    );
    assert_eq!(
        send(&ada, "PUT", &format!("/vms/{IDLE}/labels"), labels.clone()).await,
        404
    );
    assert_eq!(
        send(&eve, "PUT", &format!("/vms/{IDLE}/labels"), labels.clone()).await,
        403
    );
    assert_eq!(
        send(&ada, "PUT", &format!("/hosts/{HOST}/labels"), labels).await,
        200
    );
    let rule = json!({"name": "own", "rule": "name ~ \"*\""});
    assert_eq!(send(&ada, "PATCH", &format!("/groups/{group}"), rule).await, 403);
    let renamed = json!({"name": "ours"});
    assert_eq!(
        send(&ada, "PATCH", &format!("/groups/{group}"), renamed).await,
        200
    );
    let seen = server.by(&ada, "GET", "/api/v1/vms", None).await.data();
    assert_eq!(names(&seen), ["busy"]);
    let preview = server
        .by(
            &ada,
            "POST",
            "/api/v1/groups/preview",
            Some(&json!({"rule": "name ~ \"*\""})),
        )
        .await;
    assert_eq!(preview.data()["matching"], json!(1), "of what he sees");
    let others = made(&server, &json!({"name": "others"})).await;
    let list = server
        .by(&ada, "GET", &format!("/api/v1/vms?group={others}"), None)
        .await;
    assert_eq!(list.status, 400);
    let batch = json!({"ids": [BUSY.to_string()], "groups": {"add": [others]}});
    assert_eq!(send(&ada, "POST", "/vms/batch", batch).await, 400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn manual_machines_are_entered_counted_and_deleted() {
    let (_database, server) = fleet().await;
    let new = json!({"name": "mainframe", "description": "old", "host": HOST.to_string(), "labels": {"site": "Köln"}});
    let made = server.post("/api/v1/vms", &new).await.data();
    assert_eq!(
        (&made["manual"], &made["labels"], &made["state"]),
        (&json!(true), &new["labels"], &json!(null))
    );
    let path = format!("/api/v1/vms/{}", made["id"].as_str().expect("an id"));
    let counted = server.get("/api/v1/vms/statistics?label=site").await.data();
    assert_eq!(counted["total"], json!(1));
    assert_eq!(
        counted["labels"],
        json!([{"key": "site", "value": "Köln", "count": 1}])
    );
    assert_eq!(
        counted["hosts"],
        json!([{"id": HOST.to_string(), "name": "alpha", "count": 1}])
    );
    assert_eq!(
        server.get("/api/v1/vms/statistics").await.data()["by_state"],
        json!({"running": 1, "paused": 1, "silent": 1})
    );
    let changed = server
        .send("PATCH", &path, &json!({"name": "main", "host": null}))
        .await
        .data();
    assert_eq!(
        (&changed["name"], &changed["host"], &changed["description"]),
        (&json!("main"), &json!(null), &json!("old"))
    );
    assert_eq!(
        names(&server.get("/api/v1/vms?manual=true&sort=host,-name").await.data()),
        ["main"]
    );
    for (body, field) in [
        (json!({"name": " "}), "name"),
        (json!({"name": "x", "host": BUSY.to_string()}), "host"),
    ] {
        assert_eq!(wrong(&server.post("/api/v1/vms", &body).await).0, field);
    }
    let agents = server
        .send("PATCH", &format!("/api/v1/vms/{BUSY}"), &json!({"name": "x"}))
        .await;
    assert_eq!((agents.status, &agents.json()["code"]), (409, &json!(40_905)));
    assert_eq!(server.request("DELETE", &path, &[]).await.status, 200);
    assert_eq!(server.get(&path).await.status, 404);
    let audited = server.get("/api/v1/audit?target_kind=vm").await.data();
    let actions: Vec<_> = audited["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|entry| &entry["action"])
        .collect();
    assert_eq!(
        actions,
        [&json!("vm.delete"), &json!("vm.update"), &json!("vm.create")]
    );
}

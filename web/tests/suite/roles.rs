//! Roles that are wrong.

use crate::support::Server;
use serde_json::json;
use vmscope_store::Flavor;
use vmscope_store::testing::Database;

/// Found by schemathesis: the answer was 404, as if the role itself were missing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parent_that_does_not_exist_is_a_wrong_field() {
    let database = Database::create(Flavor::Postgres).await.expect("a database");
    let server = Server::over(database.url()).await;
    let good = json!({"name": "good", "entries": [{"permission": "vm.read", "effect": "allow"}]});
    let made = server.post("/api/v1/roles", &good).await.data();
    let orphan = json!({"name": "orphan", "parents": ["00000000-0000-4000-8000-0000000000ff"]});
    let path = format!("/api/v1/roles/{}", made["id"].as_str().expect("an id"));
    for (method, path) in [("POST", "/api/v1/roles"), ("PATCH", &path)] {
        let answer = server.send(method, path, &orphan).await;
        let json = answer.json();
        assert_eq!((answer.status, &json["code"]), (400, &json!(40_003)), "{method}");
        assert_eq!(json["data"]["fields"][0]["field"], "parents", "{method}");
        assert_eq!(json["data"]["fields"][0]["code"], "not_found", "{method}");
    }
}

//! Exports that collectors make: asked for, watched, fetched and removed over real HTTP.

use crate::exports::{code, postgres};
use crate::fleet;
use crate::support::{Server, nobody};
use serde_json::json;
use std::time::Duration;
use vmscope_model::access::{ADMIN, Scope, VIEWER};
use vmscope_store::Store;
use vmscope_store::export::job::{self, Outcome};

/// Makes the file of the oldest job as a collector does; gives its key.
async fn make(server: &Server, store: &Store, text: &str) -> String {
    let claim = job::claim(store, "north").await.expect("asked").expect("a job");
    let key = format!("exports/{}-{}.csv", claim.id, claim.attempt);
    let storage = vmscope_storage::Storage::find(&vmscope_storage::Config {
        dir: Some(server.files()),
    })
    .expect("a place");
    let mut upload = storage.create(&key.parse().expect("a key")).await.expect("begun");
    upload.write(text.as_bytes()).await.expect("written");
    let size_bytes = upload.commit().await.expect("committed").cast_signed();
    let done = Outcome::Done {
        file: key.clone(),
        size_bytes,
        rows: 1,
        keep: Duration::from_mins(1),
    };
    assert!(job::finish(store, &claim, &done).await.expect("told"));
    key
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_is_asked_for_watched_and_its_file_fetched() {
    let database = postgres().await;
    fleet::write(&database).await;
    let server = Server::over(database.url()).await;
    let store = database.store();
    let (_, ada) = server.person(store, "ada", &[(VIEWER, Scope::All)]).await;
    let wanted = json!({"what": "vms", "format": "csv", "query": {"state": "running"}});
    let made = server
        .by(&ada, "POST", "/api/v1/exports", Some(&wanted))
        .await
        .data();
    assert_eq!(
        (&made["what"], &made["format"], &made["query"]),
        (&json!("vms"), &json!("csv"), &json!({"state": "running"}))
    );
    assert_eq!(
        (
            &made["state"],
            &made["rows_done"],
            &made["rows_total"],
            &made["user"]["name"]
        ),
        (&json!("queued"), &json!(0), &json!(null), &json!("ada"))
    );
    let path = format!("/api/v1/exports/{}", made["id"].as_str().expect("an id"));
    let file = format!("{path}/file");
    assert_eq!(
        server.by(&ada, "GET", &file, None).await.status,
        404,
        "not made yet"
    );
    make(&server, store, "id\n1\n").await;
    let done = server.by(&ada, "GET", &path, None).await.data();
    assert_eq!(
        (&done["state"], &done["size_bytes"], &done["rows_total"]),
        (&json!("done"), &json!(5), &json!(1))
    );
    let fetched = server.by(&ada, "GET", &file, None).await;
    assert_eq!(
        (fetched.body.as_str(), fetched.header("content-type")),
        ("id\n1\n", "text/csv; charset=utf-8")
    );
    assert!(
        fetched
            .header("content-disposition")
            .contains("filename=\"vmscope-vms-2")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_is_its_owners_and_who_manages_exports_may_remove_it() {
    let database = postgres().await;
    let server = Server::over(database.url()).await;
    let store = database.store();
    let (_, ada) = server.person(store, "ada", &[(VIEWER, Scope::All)]).await;
    let (_, bert) = server.person(store, "bert", &[(VIEWER, Scope::All)]).await;
    let (_, admin) = server.person(store, "carl", &[(ADMIN, Scope::All)]).await;
    let wanted = json!({"what": "vms"});
    let made = server
        .by(&ada, "POST", "/api/v1/exports", Some(&wanted))
        .await
        .data();
    let path = format!("/api/v1/exports/{}", made["id"].as_str().expect("an id"));
    let file = format!("{path}/file");
    make(&server, store, "id\n1\n").await;
    assert_eq!(server.by(&ada, "GET", &file, None).await.status, 200);
    // Another one does not even learn that it is there; who manages exports sees it and may remove it, and not fetch it.
    for (method, path) in [("GET", &path), ("GET", &file), ("DELETE", &path)] {
        assert_eq!(server.by(&bert, method, path, None).await.status, 404);
    }
    assert_eq!(server.by(&admin, "GET", &file, None).await.status, 404);
    assert_eq!(
        server.by(&bert, "GET", "/api/v1/exports", None).await.data()["total"],
        0
    );
    assert_eq!(
        server
            .by(&bert, "GET", "/api/v1/exports?all=true", None)
            .await
            .status,
        403
    );
    assert_eq!(
        server
            .by(&admin, "GET", "/api/v1/exports?all=true", None)
            .await
            .data()["total"],
        1
    );
    assert_eq!(
        server.by(&ada, "GET", "/api/v1/exports", None).await.data()["items"][0]["id"],
        made["id"]
    );
    assert_eq!(
        server.by(&admin, "DELETE", &path, None).await.data()["state"],
        "removed"
    );
    assert_eq!(server.by(&ada, "GET", &file, None).await.status, 404);
    let actions = server.get("/api/v1/audit?action=export.").await.data();
    let actions: Vec<&str> = actions["items"]
        .as_array()
        .expect("items")
        .iter()
        .filter_map(|entry| entry["action"].as_str())
        .collect();
    assert_eq!(actions, ["export.remove", "export.download", "export.create"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_another_machine_has_and_too_many_jobs_are_refused() {
    let database = postgres().await;
    let server = Server::over(database.url()).await;
    let store = database.store();
    let wanted = json!({"what": "gaps"});
    let made = server.post("/api/v1/exports", &wanted).await.data();
    let key = make(&server, store, "id\n").await;
    std::fs::remove_file(server.files().join(key)).expect("removed");
    let file = format!("/api/v1/exports/{}/file", made["id"].as_str().expect("an id"));
    assert_eq!(server.get(&file).await.status, 404);
    for _ in 0..job::MAX_OPEN {
        assert_eq!(server.post("/api/v1/exports", &wanted).await.status, 200);
    }
    let refused = server.post("/api/v1/exports", &wanted).await;
    assert_eq!((refused.status, code(&refused)), (429, json!(42_902)));
    job::remove(
        store,
        &nobody(),
        job::list(store, None, vmscope_store::Paging::default())
            .await
            .expect("jobs")
            .items[0]
            .id,
    )
    .await
    .expect("cancelled");
    assert_eq!(server.post("/api/v1/exports", &wanted).await.status, 200);
}

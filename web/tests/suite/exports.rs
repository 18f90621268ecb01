//! Lists and history as files, over a real database and real HTTP.

use crate::fleet::{self, BUSY, HOST, IDLE, TICKS};
use crate::support::{Server, nobody};
use serde_json::{Value as Json, json};
use std::time::Duration;
use uuid::Uuid;
use vmscope_model::access::{ADMIN, Scope, VIEWER};
use vmscope_store::Store;
use vmscope_store::export::job::{self, Outcome};
use vmscope_store::testing::Database;

/// The records of CSV, with the headings first.
fn records(text: &str) -> Vec<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .from_reader(text.as_bytes());
    reader
        .records()
        .map(|record| record.expect("CSV").iter().map(str::to_owned).collect())
        .collect()
}

fn lines(text: &str) -> Vec<Json> {
    text.lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

fn code(answer: &crate::support::Answer) -> Json {
    answer.json()["code"].clone()
}

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

vmscope_store::on_both_flavors! {
    async fn lists_are_files_with_the_rows_of_the_list(database: Database) {
        fleet::write(&database).await;
        let server = Server::over(database.url()).await;
        let csv = server.get("/api/v1/vms/export?sort=state").await;
        assert_eq!((csv.status, csv.header("content-type")), (200, "text/csv; charset=utf-8"));
        let name = csv.header("content-disposition");
        assert!(name.starts_with("attachment; filename=\"vmscope-vms-2") && name.ends_with("Z.csv\""), "{name}");
        let rows = records(&csv.body);
        assert_eq!((&*rows[0][0], &*rows[0][1], &*rows[0][4]), ("id", "name", "state"));
        assert_eq!(rows.iter().map(|row| &*row[1]).collect::<Vec<_>>(), ["name", "busy", "Idle_100%"]);
        assert_eq!((&*rows[1][0], &*rows[1][3], &*rows[1][4]), (BUSY.to_string().as_str(), "alpha", "running"));

        let filtered = server.get("/api/v1/vms/export?format=jsonl&state=paused&page=7").await;
        assert_eq!(filtered.header("content-type"), "application/jsonl; charset=utf-8");
        let found = lines(&filtered.body);
        assert_eq!(found.len(), 1);
        assert_eq!((&found[0]["id"], &found[0]["memory_used_bytes"]), (&json!(IDLE.to_string()), &json!(512 << 20)));
        assert_eq!((&found[0]["memory_used_source"], &found[0]["reporting"]), (&json!("rss"), &json!(true)));

        let hosts = lines(&server.get("/api/v1/hosts/export?format=jsonl").await.body);
        assert_eq!(hosts.len(), 1);
        assert_eq!((&hosts[0]["name"], &hosts[0]["boot_at"]), (&json!("alpha"), &json!("2023-11-14T22:13:20Z")));
        assert_eq!(hosts[0]["vms_by_state"], json!({"running": 1, "paused": 1}));

        let gaps = lines(&server.get(&format!("/api/v1/gaps/export?format=jsonl&vm={BUSY}")).await.body);
        assert_eq!(gaps.len(), 1);
        assert_eq!((&gaps[0]["cause"], &gaps[0]["vm_name"], &gaps[0]["ticks"]), (&json!("deadline"), &json!("busy"), &json!(1)));

        let parquet = server.get_bytes("/api/v1/vms/export?format=parquet").await;
        assert!(parquet.starts_with(b"PAR1") && parquet.ends_with(b"PAR1") && parquet.len() > 500);
        let streams = server.get("/api/v1/audit?action=export.stream").await.data();
        assert_eq!(streams["items"].as_array().map(Vec::len), Some(5));
    }

    async fn history_is_a_file_with_a_row_for_each_thing_and_moment(database: Database) {
        let fleet = fleet::write(&database).await;
        let server = Server::over(database.url()).await;
        let to = fleet.from + jiff::SignedDuration::from_secs(TICKS);
        let mut wanted = json!({
            "format": "jsonl", "entities": [format!("vm:{BUSY}"), format!("vm:{IDLE}")], "metrics": ["cpu_time_ns", "state"],
            "from": fleet.from, "to": to, "step": "raw",
        });
        let answer = server.post("/api/v1/history/export", &wanted).await;
        let rows = lines(&answer.body);
        assert_eq!(rows.len(), 2 * usize::try_from(TICKS).expect("few"));
        assert_eq!((&rows[0]["entity"], &rows[0]["name"], &rows[0]["cpu_time_ns"]), (&json!(format!("vm:{BUSY}")), &json!("busy"), &json!(null)));
        assert_eq!((&rows[5]["cpu_time_ns"], &rows[5]["state"]), (&json!(0.25), &json!(1.0)));
        assert_eq!(rows[5]["time"], json!((fleet.from + jiff::SignedDuration::from_secs(5)).to_string()));
        wanted["step"] = json!(10);
        wanted["function"] = json!("last");
        assert_eq!(lines(&server.post("/api/v1/history/export", &wanted).await.body).len(), 12);
        // Without entities, every VM; and the same values as the chart has.
        wanted.as_object_mut().expect("an object").remove("entities");
        wanted["format"] = json!("csv");
        let table = records(&server.post("/api/v1/history/export", &wanted).await.body);
        assert_eq!(table.len(), 13);
        let path = format!("/api/v1/series?entity=vm:{BUSY}&metrics=cpu_time_ns&from={}&to={to}&step=10&function=last", fleet.from);
        let series = server.get(&path).await.data();
        let charted: Vec<String> = series["series"][0]["values"].as_array().expect("values").iter().map(Json::to_string).collect();
        let mine = format!("vm:{BUSY}");
        let exported: Vec<String> = table.iter().filter(|row| row[0] == mine).map(|row| row[3].clone()).collect();
        assert_eq!(exported, charted);
    }
}

async fn postgres() -> Database {
    Database::create(vmscope_store::Flavor::Postgres)
        .await
        .expect("a database")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_makes_no_sense_is_refused_with_the_field() {
    let database = postgres().await;
    let fleet = fleet::write(&database).await;
    let server = Server::over(database.url()).await;
    for path in [
        "vms/export?format=xml",
        "vms/export?colour=red",
        "hosts/export?sort=size",
        "gaps/export?from=x",
    ] {
        let answer = server.get(&format!("/api/v1/{path}")).await;
        assert_eq!(
            (answer.status, code(&answer)),
            (400, json!(40_001)),
            "{path}: {}",
            answer.body
        );
    }
    let good =
        json!({"metrics": ["cpu_time_ns"], "from": fleet.from, "to": "2199-01-01T00:00:00Z", "step": 86_400});
    for (field, value, wrong) in [
        ("metrics", json!(["cpu_time"]), "metrics.0"),
        ("metrics", json!([]), "metrics"),
        ("to", json!(fleet.from), "to"),
        ("step", json!("hourly"), "step"),
        ("step", json!("raw"), "to"),
        ("step", json!(0), "step"),
        ("kind", json!("host"), "kind"),
        ("entities", json!(["vm:1"]), "entities.0"),
        (
            "entities",
            json!([format!("host:{HOST}"), format!("vm:{BUSY}")]),
            "entities.1",
        ),
        ("function", json!("p12"), "function"),
        ("colour", json!("red"), "colour"),
    ] {
        let mut wanted = good.clone();
        wanted[field] = value;
        let answer = server.post("/api/v1/history/export", &wanted).await;
        assert_eq!(answer.status, 400, "{wanted}: {}", answer.body);
        let fields = answer.json()["data"]["fields"].clone();
        let named: Vec<&str> = fields
            .as_array()
            .expect("fields")
            .iter()
            .filter_map(|field| field["field"].as_str())
            .collect();
        assert!(named.contains(&wrong), "{wanted}: {named:?}");
        let job = json!({"what": "history", "query": wanted});
        let answer = server.post("/api/v1/exports", &job).await;
        let name = answer.json()["data"]["fields"][0]["field"]
            .as_str()
            .expect("a field")
            .to_owned();
        assert!(name.starts_with("query."), "{name}");
    }
    let mut unknown = good;
    unknown["entities"] = json!([format!("vm:{}", Uuid::nil())]);
    assert_eq!(server.post("/api/v1/history/export", &unknown).await.status, 404);
    let job = json!({"what": "vms", "query": {"state": "sleeping"}});
    assert_eq!(server.post("/api/v1/exports", &job).await.status, 400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_has_what_the_caller_may_see_and_nothing_else() {
    let database = postgres().await;
    let fleet = fleet::write(&database).await;
    let server = Server::over(database.url()).await;
    let group = server
        .post("/api/v1/groups", &json!({"name": "front"}))
        .await
        .data();
    let id: Uuid = group["id"].as_str().expect("an id").parse().expect("a UUID");
    let members = json!({"add": [IDLE.to_string()]});
    server
        .send("PUT", &format!("/api/v1/groups/{id}/members"), &members)
        .await;
    let (_, token) = server
        .person(database.store(), "ada", &[(VIEWER, Scope::Group(id))])
        .await;
    let answer = server.by(&token, "GET", "/api/v1/vms/export", None).await;
    assert_eq!(
        records(&answer.body)
            .iter()
            .map(|row| &*row[1])
            .collect::<Vec<_>>(),
        ["name", "Idle_100%"],
        "{}",
        answer.body
    );
    let history = |entity: String| {
        json!({"format": "jsonl", "entities": [entity], "metrics": ["state"], "from": fleet.from,
            "to": fleet.from + jiff::SignedDuration::from_secs(TICKS), "step": 10})
    };
    let ask = async |body: &Json| {
        server
            .by(&token, "POST", "/api/v1/history/export", Some(body))
            .await
    };
    assert_eq!(lines(&ask(&history(format!("vm:{IDLE}"))).await.body).len(), 6);
    assert_eq!(ask(&history(format!("vm:{BUSY}"))).await.status, 404);
    let mut all = history(String::new());
    all.as_object_mut().expect("an object").remove("entities");
    assert_eq!(lines(&ask(&all).await.body).len(), 6);
    let job = json!({"what": "history", "query": history(format!("vm:{BUSY}"))});
    assert_eq!(
        server
            .by(&token, "POST", "/api/v1/exports", Some(&job))
            .await
            .status,
        400,
        "a format is not part of the query"
    );
    let (_, nobody) = server.person(database.store(), "bert", &[]).await;
    for path in ["vms/export", "hosts/export", "gaps/export", "exports"] {
        assert_eq!(
            server
                .by(&nobody, "GET", &format!("/api/v1/{path}"), None)
                .await
                .status,
            403,
            "{path}"
        );
    }
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

//! Lists and history as files, over a real database and real HTTP.

use crate::fleet::{self, BUSY, HOST, IDLE, TICKS};
use crate::support::{Server, fetch};
use serde_json::{Value as Json, json};
use std::io::Read;
use uuid::Uuid;
use vmscope_model::access::{Scope, VIEWER};
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

pub(crate) fn code(answer: &crate::support::Answer) -> Json {
    answer.json()["code"].clone()
}

vmscope_store::on_both_flavors! {
    async fn lists_are_files_with_the_rows_of_the_list(database: Database) {
        fleet::write(&database).await;
        let labels = "INSERT INTO vm_label (vm_id, key, value) SELECT id, 'env', 'prod' FROM vm WHERE name = 'Idle_100%'";
        database.client().await.expect("a client").batch_execute(labels).await.expect("a label");
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
        assert_eq!((&found[0]["labels"], &found[0]["manual"]), (&json!({"env": "prod"}), &json!(false)));
        let labelled = server.get("/api/v1/vms/export?format=jsonl&label=env%3Dprod&sort=-state,name").await;
        assert_eq!(lines(&labelled.body).len(), 1);

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
        assert_eq!(streams["items"].as_array().map(Vec::len), Some(6));
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
        // The functions of the explorer, each of which its page exports: seconds that are covered, and percentiles.
        for (function, least) in [("count", 9.0), ("p95", 0.25)] {
            wanted["function"] = json!(function);
            let table = records(&server.post("/api/v1/history/export", &wanted).await.body);
            let values = table.iter().filter(|row| row[0] == mine).filter_map(|row| row[3].parse::<f64>().ok());
            assert!(values.clone().all(|value| value >= least) && values.count() > 5, "{function}: {table:?}");
        }
        // The busy one ran all the time: what is covered is ten seconds, nine in the first step.
        wanted["metrics"] = json!(["state"]);
        wanted["function"] = json!("in_state");
        let problem = server.post("/api/v1/history/export", &wanted).await.json();
        assert_eq!((&problem["code"], &problem["data"]["fields"][0]["field"]), (&json!(40003), &json!("state")), "{problem}");
        wanted["state"] = json!("running");
        let table = records(&server.post("/api/v1/history/export", &wanted).await.body);
        let ran: Vec<&str> = table.iter().filter(|row| row[0] == mine).map(|row| row[3].as_str()).collect();
        assert_eq!(ran.len(), 6, "{table:?}");
        assert!(ran.iter().all(|seconds| matches!(seconds.parse::<f64>(), Ok(9.0 | 10.0))), "{ran:?}");
    }
}

pub(crate) async fn postgres() -> Database {
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

/// Each holds a snapshot of the database, so there are few at once; who comes too many is told so, and may come again.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn only_a_few_files_are_made_and_sent_at_once() {
    let database = postgres().await;
    fleet::write(&database).await;
    let server = Server::over(database.url()).await;
    // Nobody reads the ledger while this is held, so its files are not even begun.
    let blocker = database.client().await.expect("a client");
    blocker
        .batch_execute("BEGIN; LOCK TABLE gap IN ACCESS EXCLUSIVE MODE")
        .await
        .expect("held");
    let begin = || {
        let (address, bearer) = (
            server.address,
            format!("Bearer {}", server.token.clone().expect("a token")),
        );
        tokio::spawn(async move {
            let headers = [("Authorization", bearer.as_str())];
            fetch(address, "GET", "/api/v1/gaps/export", &headers).await
        })
    };
    let waiting = [begin(), begin(), begin(), begin()];
    let wanted = "SELECT count(*) FROM pg_locks WHERE relation = 'gap'::regclass AND NOT granted";
    let watcher = database.client().await.expect("a client");
    let is_begun = async || {
        let row = watcher.query_one(wanted, &[]).await.expect("a count");
        row.get::<_, i64>(0) == 4
    };
    while !is_begun().await {
        tokio::task::yield_now().await;
    }
    let vms = async || server.get("/api/v1/vms/export").await;
    let refused = vms().await;
    assert_eq!((refused.status, code(&refused)), (429, json!(42_902)));
    blocker.batch_execute("COMMIT").await.expect("let go");
    for answer in waiting {
        let answer = answer.await.expect("an answer");
        assert_eq!(
            (answer.status, records(&answer.body).len()),
            (200, 2),
            "{}",
            answer.body
        );
    }
    while vms().await.status != 200 {}
}

/// Otherwise half a file would look like all of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_breaks_off_ends_with_an_error() {
    let database = postgres().await;
    // Bigger than what the network keeps by itself.
    let statements = "INSERT INTO host (uuid, name) VALUES (gen_random_uuid(), repeat('h', 100));
        INSERT INTO vm (uuid, host_id, name) SELECT gen_random_uuid(), (SELECT id FROM host), repeat('x', 100) || i
        FROM generate_series(1, 100000) AS i";
    let client = database.client().await.expect("a client");
    client.batch_execute(statements).await.expect("many");
    let server = Server::over(database.url()).await;
    let uri = format!("http://{}/api/v1/vms/export", server.address);
    let bearer = format!("Bearer {}", server.token.clone().expect("a token"));
    let begin = move || {
        let config = ureq::Agent::config_builder().proxy(None).build();
        let request = ureq::Agent::new_with_config(config)
            .get(uri)
            .header("Authorization", bearer);
        let mut reader = request.call().expect("an answer").into_body().into_reader();
        let mut beginning = [0; 3];
        reader.read_exact(&mut beginning).expect("a beginning");
        assert_eq!(&beginning, b"id,");
        reader
    };
    let mut reader = tokio::task::spawn_blocking(begin).await.expect("a client");
    database.cut_connections().await.expect("cut");
    let end = move || std::io::copy(&mut reader, &mut std::io::sink());
    let end = tokio::task::spawn_blocking(end).await.expect("a client");
    assert!(end.is_err(), "{end:?} bytes as if they were all");
}

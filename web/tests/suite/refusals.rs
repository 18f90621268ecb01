//! What the API says to what it can't answer.

use crate::support::{NO_DATABASE, Server, fetch};
use serde_json::json;
use vmscope_store::Flavor;
use vmscope_store::testing::Database;

const VM: &str = "vm:00000000-0000-0000-0000-0000000000b1";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_parameters_are_named() {
    let database = Database::create(Flavor::Postgres).await.expect("a database");
    let server = Server::over(database.url()).await;
    let series = format!("/api/v1/series?entity={VM}");
    let table = [
        ("/api/v1/hosts?page=0", "page"),
        ("/api/v1/hosts?page=x", "page"),
        ("/api/v1/hosts?page_size=501", "page_size"),
        ("/api/v1/hosts?pgae=1", "pgae"),
        ("/api/v1/hosts?sort=age", "age"),
        ("/api/v1/hosts/alpha", "id"),
        ("/api/v1/vms?state=happy", "state"),
        ("/api/v1/vms?host=alpha", "host"),
        ("/api/v1/vms?sort=-cpu", "-cpu"),
        ("/api/v1/vms/1", "id"),
        ("/api/v1/overview?x=1", "x"),
        ("/api/v1/gaps?host=alpha", "host"),
        ("/api/v1/gaps?vm=1", "vm"),
        ("/api/v1/gaps?cause=gremlins", "gremlins"),
        ("/api/v1/gaps?group=some", "group"),
        ("/api/v1/gaps?page_size=501", "page_size"),
        ("/api/v1/gaps?page=100001", "page"),
        ("/api/v1/gaps?from=yesterday", "from"),
        (
            "/api/v1/gaps?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z",
            "from",
        ),
        ("/api/v1/agents?sort=version", "version"),
        ("/api/v1/agents?connected=maybe", "connected"),
        ("/api/v1/agents?page_size=0", "page_size"),
        ("/api/v1/system?x=1", "x"),
        ("/api/v1/series?metrics=state", "entity"),
        ("/api/v1/series?entity=vm:1&metrics=state", "entity"),
        (&series, "metrics"),
        (&format!("{series}&metrics="), "metrics"),
        (&format!("{series}&metrics=read_bytes"), "metrics"),
        (&format!("{series}&metrics=state&step=0"), "step"),
        (&format!("{series}&metrics=state&step=fast"), "step"),
        (&format!("{series}&metrics=state&function=p95"), "p95"),
        (&format!("{series}&metrics=state&from=yesterday"), "from"),
        (
            &format!("{series}&metrics=state&from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z"),
            "from",
        ),
    ];
    for (path, named) in table {
        let answer = server.get(path).await;
        let problem = answer.json();
        assert_eq!(
            (answer.status, &problem["code"]),
            (400, &json!(40001)),
            "{path}: {problem}"
        );
        assert!(
            problem["message"].as_str().expect("a message").contains(named),
            "{path}: {problem}"
        );
        assert_eq!(problem["data"], json!(null));
    }
}

#[tokio::test]
async fn unknown_paths_and_methods_of_the_api_are_json() {
    let server = Server::strange(NO_DATABASE).await;
    for (method, path, code) in [
        ("GET", "/api/v1/vmz", 40400),
        ("GET", "/api", 40400),
        ("GET", "/api/v2/vms", 40400),
        ("PUT", "/api/v1/vms", 40500),
        ("BREW", "/api/v1/vms", 40500),
    ] {
        let answer = server.request(method, path, &[]).await;
        assert_eq!(answer.json()["code"], json!(code), "{method} {path}");
        assert_eq!(u64::from(answer.status), code / 100);
        assert_eq!(answer.header("cache-control"), "no-store");
    }
}

#[tokio::test]
async fn a_missing_database_is_said_in_the_callers_language_and_nothing_more() {
    let server = Server::strange(NO_DATABASE).await;
    for (language, word) in [
        ("en", "database"),
        ("zh-CN,zh;q=0.9,en;q=0.1", "数据库"),
        ("ja-JP", "データベース"),
    ] {
        let answer = server
            .request("GET", "/api/v1/setup", &[("Accept-Language", language)])
            .await;
        let problem = answer.json();
        assert_eq!(
            (answer.status, &problem["code"]),
            (503, &json!(50300)),
            "{problem}"
        );
        let message = problem["message"].as_str().expect("a message");
        assert!(
            message.contains(word) && !message.contains("127.0.0.1"),
            "{message}"
        );
        assert!(language.starts_with(answer.header("content-language")));
    }
    let ready = fetch(server.admin, "GET", "/readyz", &[]).await;
    assert_eq!(ready.status, 503, "{}", ready.body);
}

/// At a first start web may ask before the collector has made the tables; that used to be a 500.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_without_tables_is_unavailable_until_the_collector_has_made_them() {
    let database = Database::create_empty(Flavor::Postgres)
        .await
        .expect("a database");
    let server = Server::strange(database.url()).await;
    let login = json!({"login": "ada", "password": "wrong"});
    for answer in [
        server.get("/api/v1/setup").await,
        server.get("/api/v1/auth/jwks").await,
        server.post("/api/v1/auth/login", &login).await,
    ] {
        assert_eq!(
            (answer.status, &answer.json()["code"]),
            (503, &json!(50300)),
            "{}",
            answer.body
        );
    }
    vmscope_store::schema::migrate(database.store())
        .await
        .expect("a schema");
    assert_eq!(server.get("/api/v1/setup").await.data(), json!({"needed": true}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_exist_is_not_found_and_too_much_is_refused() {
    let database = Database::create(Flavor::Postgres).await.expect("a database");
    let server = Server::over(database.url()).await;
    for path in [
        "/api/v1/hosts/00000000-0000-0000-0000-0000000000a1",
        "/api/v1/vms/00000000-0000-0000-0000-0000000000b1",
        "/api/v1/series?entity=disk:1&metrics=read_bytes",
    ] {
        let answer = server.get(path).await;
        assert_eq!(
            (answer.status, &answer.json()["code"]),
            (404, &json!(40400)),
            "{path}"
        );
    }
    let host = vmscope_model::HostId(uuid::Uuid::from_u128(1));
    vmscope_store::entity::register_host(database.store(), host)
        .await
        .expect("a host");
    let wide = format!(
        "/api/v1/series?entity=host:{host}&metrics=load_1m,load_5m&step=1&from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z"
    );
    let answer = server.get(&wide).await;
    assert_eq!(
        (answer.status, &answer.json()["code"]),
        (413, &json!(41300)),
        "{}",
        answer.body
    );
    assert!(answer.body.contains("20000"), "{}", answer.body);
}

#[tokio::test]
async fn request_ids_are_taken_over_or_made() {
    let server = Server::strange(NO_DATABASE).await;
    let given = server
        .request("GET", "/api/v1/nothing", &[("X-Request-Id", "mine-7")])
        .await;
    assert_eq!(given.header("x-request-id"), "mine-7");
    let long = "x".repeat(200);
    for answer in [
        server.get("/").await,
        server.request("GET", "/", &[("X-Request-Id", &long)]).await,
    ] {
        assert!(uuid::Uuid::parse_str(answer.header("x-request-id")).is_ok());
    }
}

#[tokio::test]
async fn the_dashboard_has_its_own_paths_and_security_headers() {
    let server = Server::strange(NO_DATABASE).await;
    let first = server.get("/").await;
    // Without a built dashboard the page says how to build it.
    assert!(
        first.status == 200 || (first.status == 503 && first.body.contains("make ui")),
        "{}",
        first.status
    );
    assert!(first.header("content-type").starts_with("text/html"));
    assert!(
        first
            .header("content-security-policy")
            .starts_with("default-src 'self'")
    );
    assert_eq!(first.header("x-content-type-options"), "nosniff");
    let deep = server.get("/vms/00000000-0000-0000-0000-0000000000b1").await;
    assert_eq!((deep.status, &deep.body), (first.status, &first.body));
    assert_eq!(server.get("/assets/none").await.status, 404);
    assert_eq!(server.get("/favicon.nothing").await.status, 404);
    assert_eq!(server.request("POST", "/", &[]).await.status, 405);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_catalogue_speaks_three_languages_and_the_api_describes_itself() {
    let database = Database::create(Flavor::Postgres).await.expect("a database");
    let server = Server::over(database.url()).await;
    let mut texts = Vec::new();
    for language in ["en", "zh-CN", "ja-JP"] {
        let metrics = server
            .request("GET", "/api/v1/metrics", &[("Accept-Language", language)])
            .await
            .data();
        let items = metrics["items"].as_array().expect("items").clone();
        let find = |name| {
            items
                .iter()
                .find(|item| item["kind"] == "vm" && item["name"] == name)
                .expect(name)
                .clone()
        };
        let cpu = find("cpu_time_ns");
        assert_eq!(
            (&cpu["unit"], &cpu["type"], &cpu["api_unit"]),
            (&json!("ns"), &json!("counter"), &json!("s/s"))
        );
        assert_eq!(
            (cpu.get("states"), &find("state")["states"]["1"]),
            (None, &json!("running"))
        );
        assert_eq!(
            (&cpu["group"], &find("memory_used_bytes")["group"]),
            (&json!("cheap"), &json!("dear"))
        );
        texts.push(cpu["help"].clone());
    }
    texts.dedup();
    assert_eq!(texts.len(), 3, "{texts:?}");
    let document = server.get("/api/v1/openapi.json").await;
    assert!(document.json()["paths"].get("/api/v1/series").is_some());
}

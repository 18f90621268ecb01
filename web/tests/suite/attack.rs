//! Requests that nobody means well with: each has its documented answer, and changes nothing.

use crate::support::{Answer, Server};
use serde_json::{Value as Json, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use vmscope_store::Flavor;
use vmscope_store::testing::Database;

const LOGIN: &str = "/api/v1/auth/login";

async fn database() -> Database {
    Database::create(Flavor::Postgres).await.expect("a database")
}

fn code(answer: &Answer) -> (u16, u64) {
    (answer.status, answer.json()["code"].as_u64().unwrap_or_default())
}

/// What the server answers to these bytes, as far as it does.
async fn raw(server: &Server, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.address).await.expect("a connection");
    // It may have refused before it has read everything.
    let _ = stream.write_all(request).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_is_small_json_of_known_fields_or_refused() {
    let database = database().await;
    let server = Server::over(database.url()).await;
    let json = [("Content-Type", "application/json")];
    let send = async |headers: &[(&str, &str)], body: &str| {
        server.with_body("POST", LOGIN, headers, body.to_owned()).await
    };
    for broken in [
        "{",
        " ",
        "nonsense",
        "{\"login\":",
        "{'login':1}",
        "\u{feff}{}",
        &"[".repeat(10_000),
    ] {
        let answer = send(&json, broken).await;
        assert_eq!(code(&answer), (400, 40_002), "{broken:.20}");
    }
    for (body, field, fault) in [
        (r#"{"login":"a","password":"b","admin":true}"#, "admin", "unknown"),
        (r#"{"login":"a"}"#, "password", "missing"),
        (r#"{"login":["a"],"password":"b"}"#, "login", "type"),
        (
            r#"{"login":"a\u0000b","password":"b"}"#,
            "login",
            "control_character",
        ),
        (r#"{"login":"","password":"b"}"#, "login", "too_short"),
        ("[]", "", "type"),
    ] {
        let answer = send(&json, body).await;
        assert_eq!(code(&answer), (400, 40_003), "{body}: {}", answer.body);
        let wrong = answer.json()["data"]["fields"][0].clone();
        assert_eq!(
            (&wrong["field"], &wrong["code"]),
            (&json!(field), &json!(fault)),
            "{body}"
        );
        assert!(wrong["message"].is_string());
    }
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonx",
    ] {
        let answer = send(&[("Content-Type", kind)], r#"{"login":"a","password":"b"}"#).await;
        assert_eq!(code(&answer), (415, 41_500), "{kind}");
    }
    let with_charset = [("Content-Type", "Application/JSON; charset=utf-8")];
    assert_eq!(
        code(&send(&with_charset, r#"{"login":"a","password":"b"}"#).await),
        (401, 40_101)
    );
    let large = json!({"login": "a", "password": "b".repeat(65 << 10)}).to_string();
    assert_eq!(code(&send(&json, &large).await), (413, 41_301));
}

/// The answer comes before the body has, so that a client that sends all of it first may miss it: this one listens.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_megabytes_are_refused_without_being_read() {
    let database = database().await;
    let server = Server::over(database.url()).await;
    for (head, body) in [
        ("Content-Length: 10485760\r\n".to_owned(), String::new()),
        (
            "Transfer-Encoding: chunked\r\n".to_owned(),
            format!("20000\r\n{}\r\n", "x".repeat(0x20000)),
        ),
    ] {
        let request = format!(
            "POST {LOGIN} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\n{head}\r\n{body}"
        );
        let answer = raw(&server, request.as_bytes()).await;
        assert!(
            answer.starts_with("HTTP/1.1 413 ") && answer.contains("41301"),
            "{answer}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_looks_like_sql_is_text() {
    let database = database().await;
    let server = Server::over(database.url()).await;
    for text in [
        "' OR '1'='1",
        "root'--",
        "\\'; DROP TABLE user_account; --",
        "%' OR 1=1 --",
        "$1",
        "root\u{2019}",
    ] {
        let login = json!({"login": text, "password": text});
        assert_eq!(code(&server.post(LOGIN, &login).await), (401, 40_101), "{text}");
        let encoded: Vec<String> = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let encoded = encoded.concat();
        for path in ["vms", "hosts", "users", "agents", "groups", "audit"] {
            let answer = server.get(&format!("/api/v1/{path}?q={encoded}")).await;
            assert_eq!(answer.status, 200, "{path} {text}: {}", answer.body);
        }
        let vms = server.get(&format!("/api/v1/vms?sort={encoded}")).await;
        assert_eq!(code(&vms), (400, 40_001));
    }
    for path in ["vms", "hosts", "users", "agents", "groups", "audit"] {
        let answer = server.get(&format!("/api/v1/{path}?q=a%00b")).await;
        assert_eq!(code(&answer), (400, 40_001), "{path}: {}", answer.body);
    }
    assert_eq!(server.get("/api/v1/users").await.data()["total"], json!(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_a_request_becomes_a_header_of_the_answer() {
    let database = database().await;
    let server = Server::over(database.url()).await;
    let split = "/api/v1/vms?q=%0d%0aSet-Cookie:%20stolen=1&sort=%0d%0aX:1";
    let answer = server.get(split).await;
    assert_eq!(code(&answer), (400, 40_001));
    assert_eq!((answer.header("set-cookie"), answer.header("x")), ("", ""));
    let odd = b"GET /api/v1/setup HTTP/1.1\r\nHost: x\r\nX-Request-Id: a\tb\r\nConnection: close\r\n\r\n";
    let answer = raw(&server, odd).await;
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && !answer.contains("a\tb"),
        "{answer}"
    );
    let twice = b"GET /api/v1/setup HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello";
    let answer = raw(&server, twice).await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_path_leads_out_of_the_dashboards_files() {
    let database = database().await;
    let server = Server::strange(database.url()).await;
    for path in [
        "/../../../../etc/passwd",
        "/assets/../../../../../etc/passwd",
        "/assets/..%2f..%2f..%2f..%2fetc%2fpasswd",
        "/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "/assets/%2e%2e/%2e%2e/Cargo.toml",
        "/..\\..\\..\\etc\\passwd",
        "//etc/passwd",
        "/assets//etc/passwd",
        "/assets/%00",
        "/Cargo.toml",
        "/../package.json",
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let answer = raw(&server, request.as_bytes()).await;
        let status = answer.split(' ').nth(1).unwrap_or_default();
        // A path without a file is the dashboard's own, and gets its first page.
        assert!(
            ["200", "400", "404", "503"].contains(&status),
            "{path}: {answer:.80}"
        );
        assert!(
            !answer.contains("root:") && !answer.contains("[package]") && !answer.contains("\"scripts\""),
            "{path}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_denied_and_every_login_is_in_the_audit_trail() {
    let database = database().await;
    let server = Server::over(database.url()).await;
    let (id, token) = server.person(database.store(), "ada", &[]).await;
    let wrong = json!({"login": "Ada", "password": "guess"});
    assert_eq!(server.post(LOGIN, &wrong).await.status, 401);
    let denied = server.by(&token, "GET", "/api/v1/users", None).await;
    assert_eq!(code(&denied), (403, 40_301));
    let items = server.get("/api/v1/audit?limit=50").await.data()["items"].clone();
    let items = items.as_array().expect("entries");
    let find = |action: &str, actor: &str| -> Json {
        let fits = |item: &&Json| item["action"] == json!(action) && item["actor_name"] == json!(actor);
        items
            .iter()
            .find(fits)
            .unwrap_or_else(|| panic!("no {action} of {actor}: {items:#?}"))
            .clone()
    };
    let entry = find("access.denied", "ada");
    assert_eq!(
        (&entry["result"], &entry["code"], &entry["actor_id"]),
        (&json!("denied"), &json!(40_301), &json!(id.to_string()))
    );
    assert_eq!(
        (&entry["target_id"], &entry["target_name"]),
        (&json!("GET /api/v1/users"), &json!("user.read"))
    );
    assert_eq!(
        (&entry["remote"], &entry["request_id"]),
        (&json!("127.0.0.1"), &json!(denied.header("x-request-id")))
    );
    let entry = find("login.failure", "Ada");
    assert_eq!(
        (&entry["actor_kind"], &entry["code"], &entry["target_id"]),
        (&json!("anonymous"), &json!(40_101), &json!(id.to_string()))
    );
    assert_eq!(find("login.success", "ada")["result"], json!("done"));
    for item in items {
        let text = item.to_string();
        assert!(!text.contains("guess") && !text.contains("argon2"), "{text}");
    }
}

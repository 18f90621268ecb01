//! The first user, and what everybody may do with his own account.

use crate::support::{self, Answer, PASSWORD, Server, make_user, new_user};
use jiff::{Timestamp, ToSpan};
use serde_json::{Value as Json, json};
use totp_rs::{Builder, Secret};
use vmscope_model::access::{OPERATOR, Scope, VIEWER};
use vmscope_store::testing::Database;
use vmscope_store::{Flavor, setup, user};

async fn database() -> Database {
    Database::create(Flavor::Postgres).await.expect("a database")
}

fn code(answer: &Answer) -> (u16, u64) {
    (answer.status, answer.json()["code"].as_u64().unwrap_or_default())
}

/// The wrong fields that an answer names.
fn wrong(answer: &Answer) -> Vec<(String, String)> {
    assert_eq!(code(answer), (400, 40_003), "{}", answer.body);
    let json = answer.json();
    let text = |value: &Json| value.as_str().expect("a text").to_owned();
    let fields = json["data"]["fields"].as_array().expect("fields");
    fields
        .iter()
        .map(|field| (text(&field["field"]), text(&field["code"])))
        .collect()
}

fn one(field: &str, code: &str) -> Vec<(String, String)> {
    vec![(field.to_owned(), code.to_owned())]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_user_is_made_once_with_the_code() {
    let database = database().await;
    let server = Server::strange(database.url()).await;
    assert_eq!(server.get("/api/v1/setup").await.data(), json!({"needed": true}));
    let offered = setup::offer(
        database.store(),
        &support::nobody(),
        &vmscope_vault::code::digest("ABCD-EFGH-JKMN-PQRS"),
        false,
    );
    assert!(offered.await.expect("offered"));
    let request = |code: &str, password: &str| json!({"code": code, "name": "ada", "email": "ada@example.com", "password": password});
    let set_up = async |request: &Json| server.post("/api/v1/setup", request).await;
    assert_eq!(code(&set_up(&request("wrong", PASSWORD)).await), (401, 40_101));
    assert_eq!(
        wrong(&set_up(&request("abcd-efgh-jkmn-pqrs", "short")).await)[0],
        one("password", "too_short")[0]
    );
    let nameless = json!({"code": "x", "name": " ", "password": PASSWORD});
    assert_eq!(wrong(&set_up(&nameless).await), one("name", "too_short"));
    let made = set_up(&request("abcd efgh jkmn pqrs", PASSWORD)).await.data();
    assert_eq!(made["name"], json!("ada"));
    assert_eq!(server.get("/api/v1/setup").await.data(), json!({"needed": false}));
    assert_eq!(
        code(&set_up(&request("abcd-efgh-jkmn-pqrs", PASSWORD)).await),
        (403, 40_303)
    );
    let token = server.log_in("ada").await;
    let users = server.by(&token, "GET", "/api/v1/users", None).await.data();
    assert_eq!(users["total"], json!(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_is_changed_by_who_knows_it_and_ends_the_other_sessions() {
    let database = database().await;
    let server = Server::over(database.url()).await;
    let (_, token) = server.person(database.store(), "ada", &[]).await;
    let other = server.log_in("ada").await;
    let change = async |current: &str, new: &str| {
        let body = json!({"current": current, "new": new});
        server
            .by(&token, "POST", "/api/v1/auth/password", Some(&body))
            .await
    };
    assert_eq!(
        wrong(&change("guess", "Another-Horse-8-Battery").await),
        one("current", "wrong")
    );
    assert_eq!(
        wrong(&change(PASSWORD, "short").await)[0],
        one("new", "too_short")[0]
    );
    assert_eq!(
        wrong(&change(PASSWORD, PASSWORD).await),
        one("new", "password_same")
    );
    change(PASSWORD, "Another-Horse-8-Battery").await.data();
    let sessions = server
        .by(&token, "GET", "/api/v1/auth/sessions", None)
        .await
        .data();
    assert_eq!(sessions["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(sessions["items"][0]["current"], json!(true));
    assert_eq!(
        server.by(&other, "GET", "/api/v1/auth/me", None).await.status,
        401
    );
    let old = json!({"login": "ada", "password": PASSWORD});
    assert_eq!(server.post("/api/v1/auth/login", &old).await.status, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_must_change_his_password_can_do_nothing_else() {
    let database = database().await;
    let server = Server::over(database.url()).await;
    let (id, _) = server
        .person(database.store(), "ada", &[(VIEWER, Scope::All)])
        .await;
    let path = format!("/api/v1/users/{id}/password");
    server
        .post(&path, &json!({"password": "Another-Horse-8-Battery"}))
        .await
        .data();
    let login = json!({"login": "ada", "password": "Another-Horse-8-Battery"});
    let session = server.post("/api/v1/auth/login", &login).await.data();
    assert_eq!(session["user"]["must_change_password"], json!(true));
    let token = session["access_token"].as_str().expect("a token");
    for path in ["/api/v1/vms", "/api/v1/auth/tokens"] {
        assert_eq!(
            code(&server.by(token, "GET", path, None).await),
            (403, 40_304),
            "{path}"
        );
    }
    let body = json!({"current": "Another-Horse-8-Battery", "new": PASSWORD});
    server
        .by(token, "POST", "/api/v1/auth/password", Some(&body))
        .await
        .data();
    assert_eq!(server.by(token, "GET", "/api/v1/vms", None).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_changes_his_own_account_and_ends_his_own_sessions() {
    let database = database().await;
    let server = Server::over(database.url()).await;
    let (_, token) = server.person(database.store(), "ada", &[]).await;
    make_user(database.store(), "grace", &[]).await;
    let change = async |body: Json| server.by(&token, "PATCH", "/api/v1/auth/me", Some(&body)).await;
    let me = change(json!({"display_name": "Ada", "language": "ja-JP"}))
        .await
        .data();
    assert_eq!(
        (&me["display_name"], &me["language"], &me["email"]),
        (&json!("Ada"), &json!("ja-JP"), &json!("ada@example.com"))
    );
    assert_eq!(change(json!({"email": null})).await.data()["email"], json!(null));
    assert_eq!(
        code(&change(json!({"email": "GRACE@example.com"})).await),
        (409, 40_900)
    );
    assert_eq!(
        wrong(&change(json!({"email": "nowhere"})).await),
        one("email", "format")
    );
    assert_eq!(
        wrong(&change(json!({"language": "fr"})).await),
        one("language", "unknown_value")
    );
    assert_eq!(
        wrong(&change(json!({"name": "root"})).await),
        one("name", "unknown")
    );

    let other = server.log_in("ada").await;
    let sessions = server
        .by(&token, "GET", "/api/v1/auth/sessions", None)
        .await
        .data();
    let items = sessions["items"].as_array().expect("sessions");
    let session = items
        .iter()
        .find(|session| session["current"] == json!(false))
        .expect("the other");
    let path = format!("/api/v1/auth/sessions/{}", session["id"].as_str().expect("an id"));
    let root = server.request("DELETE", &path, &[]).await;
    assert_eq!(code(&root), (404, 40_400), "it is not his");
    server.by(&token, "DELETE", &path, None).await.data();
    assert_eq!(
        server.by(&other, "GET", "/api/v1/auth/me", None).await.status,
        401
    );
    assert_eq!(
        code(&server.by(&token, "DELETE", &path, None).await),
        (404, 40_400)
    );
}

/// An authenticator's code of a moment.
fn totp(secret: &str, at: Timestamp) -> String {
    let secret = Secret::try_from_base32(secret).expect("base32");
    let clock = Builder::new().with_secret(secret).build().expect("a clock");
    clock.generate(at.as_second().unsigned_abs()).to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_factor_is_asked_for_and_each_code_is_good_once() {
    let database = database().await;
    let server = Server::over(database.url()).await;
    let (_, token) = server.person(database.store(), "ada", &[]).await;
    let ask = async |path: &str, body: Json| server.by(&token, "POST", path, Some(&body)).await;
    let login = async |second: Option<&str>| {
        let body = json!({"login": "ada", "password": PASSWORD, "second_factor": second});
        server.post("/api/v1/auth/login", &body).await
    };
    assert_eq!(
        code(&ask("/api/v1/auth/totp/confirm", json!({"code": "123456"})).await),
        (404, 40_400)
    );
    let begun = ask("/api/v1/auth/totp", json!({})).await.data();
    let secret = begun["secret"].as_str().expect("a secret");
    assert!(begun["uri"].as_str().expect("a URI").contains(secret));
    assert_eq!(login(None).await.status, 200, "not yet");
    assert_eq!(
        wrong(&ask("/api/v1/auth/totp/confirm", json!({"code": "abcdef"})).await),
        one("code", "wrong")
    );
    let first = totp(secret, Timestamp::now());
    let codes = ask("/api/v1/auth/totp/confirm", json!({"code": first}))
        .await
        .data();
    let codes: Vec<&str> = codes["recovery_codes"]
        .as_array()
        .expect("codes")
        .iter()
        .filter_map(Json::as_str)
        .collect();
    assert_eq!(codes.len(), 10);

    assert_eq!(code(&login(None).await), (401, 40_102));
    assert_eq!(code(&login(Some("000000000")).await), (401, 40_101));
    assert_eq!(code(&login(Some(&first)).await), (401, 40_101), "a replay");
    let next = totp(secret, Timestamp::now() + 30.seconds());
    assert_eq!(login(Some(&next)).await.status, 200);
    assert_eq!(code(&login(Some(&next)).await), (401, 40_101), "a replay");
    assert_eq!(login(Some(&codes[0].to_uppercase())).await.status, 200);
    assert_eq!(
        code(&login(Some(codes[0])).await),
        (401, 40_101),
        "a recovery code is good once"
    );
    assert_eq!(code(&ask("/api/v1/auth/totp", json!({})).await), (409, 40_901));

    let wrong_proof = ask("/api/v1/auth/totp/recovery-codes", json!({"password": "guess"})).await;
    assert_eq!(wrong(&wrong_proof), one("password", "wrong"));
    ask("/api/v1/auth/totp/recovery-codes", json!({"password": PASSWORD}))
        .await
        .data();
    assert_eq!(
        code(&login(Some(codes[1])).await),
        (401, 40_101),
        "others took its place"
    );
    ask("/api/v1/auth/totp/disable", json!({"password": PASSWORD}))
        .await
        .data();
    assert_eq!(login(None).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_token_can_do_what_it_says_as_far_as_its_owner_can() {
    let database = database().await;
    let server = Server::over(database.url()).await;
    let (_, person) = server
        .person(database.store(), "ada", &[(OPERATOR, Scope::All)])
        .await;
    let ask =
        async |method: &str, path: &str, body: Option<&Json>| server.by(&person, method, path, body).await;
    let soon = Timestamp::now() + 24.hours();
    let new = json!({"name": "report", "permissions": ["vm.read", "user.read"], "expires_at": soon});
    let made = ask("POST", "/api/v1/auth/tokens", Some(&new)).await.data();
    let token = made["token"].as_str().expect("a token");
    let by = async |path: &str| server.by(token, "GET", path, None).await;
    assert_eq!(by("/api/v1/vms").await.status, 200);
    assert_eq!(
        code(&by("/api/v1/hosts").await),
        (403, 40_301),
        "the owner may, the token may not"
    );
    assert_eq!(
        code(&by("/api/v1/users").await),
        (403, 40_301),
        "the token would, its owner may not"
    );
    let me = by("/api/v1/auth/me").await.data();
    assert_eq!((&me["session_id"], &me["name"]), (&json!(null), &json!("ada")));
    assert_eq!(me["permissions"].as_array().map(Vec::len), Some(1), "{me}");
    let another = server.by(token, "POST", "/api/v1/auth/tokens", Some(&new)).await;
    assert_eq!(code(&another), (403, 40_305), "it would outlive itself");

    let listed = ask("GET", "/api/v1/auth/tokens", None).await.data()["items"][0].clone();
    assert_eq!((&listed["id"], listed.get("token")), (&made["id"], None));
    assert!(
        listed["last_used_at"].is_string() && listed["last_used_remote"] == json!("127.0.0.1"),
        "{listed}"
    );
    let path = format!("/api/v1/auth/tokens/{}", made["id"].as_str().expect("an id"));
    ask("DELETE", &path, None).await.data();
    assert_eq!(code(&by("/api/v1/vms").await), (401, 40_100));

    let bad = json!({"name": "", "permissions": ["vm.fly"], "expires_at": "2020-01-01T00:00:00Z"});
    let fields = wrong(&ask("POST", "/api/v1/auth/tokens", Some(&bad)).await);
    assert_eq!(
        fields,
        [
            one("name", "too_short"),
            one("permissions.0", "unknown_value"),
            one("expires_at", "past")
        ]
        .concat()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_gives_or_takes_what_he_does_not_have() {
    let database = database().await;
    let server = Server::over(database.url()).await;
    let root = server.get("/api/v1/auth/me").await.data()["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let admin = vmscope_model::access::ADMIN;
    let (id, token) = server
        .person(database.store(), "ada", &[(admin, Scope::All)])
        .await;
    let grant = json!({"role": vmscope_model::access::SUPER_ADMIN, "scope": {"kind": "all"}});
    let reset = json!({"password": "Another-Horse-8-Battery"});
    for (method, path, body) in [
        ("POST", format!("/api/v1/users/{id}/grants"), Some(&grant)),
        ("POST", format!("/api/v1/users/{root}/password"), Some(&reset)),
        ("DELETE", format!("/api/v1/users/{root}"), None),
        ("DELETE", format!("/api/v1/users/{root}/sessions"), None),
    ] {
        let answer = server.by(&token, method, &path, body).await;
        assert_eq!(code(&answer), (403, 40_301), "{method} {path}: {}", answer.body);
    }
    let denied = server
        .get("/api/v1/audit?action=access.denied&actor=ada")
        .await
        .data();
    assert_eq!(denied["items"].as_array().map(Vec::len), Some(4), "{denied}");
    let last = server
        .request("DELETE", &format!("/api/v1/users/{root}"), &[])
        .await;
    assert_eq!(code(&last), (409, 40_903));
    let second = user::create_administrator(database.store(), &support::nobody(), &new_user("grace"));
    second.await.expect("another administrator");
    server
        .request("DELETE", &format!("/api/v1/users/{root}"), &[])
        .await
        .data();
}

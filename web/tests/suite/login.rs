//! Beginning sessions, continuing and ending them, and what pretends to be one.

use crate::support::{self, Answer, PASSWORD, ROOT, Server, make_user};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value as Json, json};
use std::num::NonZeroU32;
use std::time::{Duration, Instant};
use vmscope_link::Role;
use vmscope_store::testing::Database;
use vmscope_store::{Flavor, login, signing_key};
use vmscope_web::limit;

const ME: &str = "/api/v1/auth/me";
const LOGIN: &str = "/api/v1/auth/login";
const REFRESH: &str = "/api/v1/auth/refresh";
const DEADLINE: Duration = Duration::from_secs(20);

async fn database() -> Database {
    Database::create(Flavor::Postgres).await.expect("a database")
}

fn code(answer: &Answer) -> (u16, u64) {
    (answer.status, answer.json()["code"].as_u64().unwrap_or_default())
}

fn credentials(login: &str, password: &str) -> Json {
    json!({"login": login, "password": password})
}

/// Asks until the answer has this status.
async fn until(server: &Server, token: &str, status: u16) {
    let began = Instant::now();
    loop {
        let answer = server.by(token, "GET", ME, None).await;
        if answer.status == status {
            return;
        }
        assert!(began.elapsed() < DEADLINE, "still {}", answer.status);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_logs_in_by_name_or_by_address_in_any_case() {
    let database = database().await;
    let server = Server::over(database.url()).await;
    let id = make_user(database.store(), "ada", &[]).await;
    for login in ["ada", "ADA", "Ada@Example.com", " ada "] {
        let session = server.post(LOGIN, &credentials(login, PASSWORD)).await.data();
        assert_eq!(
            (&session["user"]["name"], &session["expires_in_s"]),
            (&json!("ada"), &json!(900))
        );
        let token = session["access_token"].as_str().expect("a token");
        let me = server.by(token, "GET", ME, None).await.data();
        assert_eq!(
            (&me["id"], &me["permissions"]),
            (&json!(id.to_string()), &json!([]))
        );
        assert_eq!(me["session_id"], session["user"]["session_id"]);
    }
    let root = server.get(ME).await.data();
    assert!(
        root["permissions"]
            .as_array()
            .expect("permissions")
            .contains(&json!({"permission": "*", "scope": {"kind": "all", "id": null, "name": null}}))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_failures_lock_a_name_whether_it_exists_or_not() {
    let database = database().await;
    let server = Server::strange(database.url()).await;
    make_user(database.store(), "ada", &[]).await;
    let mut answers = Vec::new();
    for name in ["ada", "nobody"] {
        for _ in 0..5 {
            let answer = server.post(LOGIN, &credentials(name, "wrong")).await;
            assert_eq!(code(&answer), (401, 40_101), "{name}");
            answers.push(answer.body);
        }
        let locked = server.post(LOGIN, &credentials(name, PASSWORD)).await;
        assert_eq!(code(&locked), (429, 42_901), "{name}: {}", locked.body);
        let wait: i64 = locked.header("retry-after").parse().expect("seconds");
        assert!((1700..=1800).contains(&wait), "{wait}");
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    let other = make_user(database.store(), "grace", &[]).await;
    assert!(
        !other.is_nil() && !server.log_in("grace").await.is_empty(),
        "nobody else is locked"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disabled_user_is_told_no_more_than_a_stranger_and_his_session_ends() {
    let database = database().await;
    let server = Server::over(database.url()).await;
    let (id, token) = server.person(database.store(), "ada", &[]).await;
    let change = json!({"disabled": true});
    server
        .send("PATCH", &format!("/api/v1/users/{id}"), &change)
        .await
        .data();
    assert_eq!(code(&server.by(&token, "GET", ME, None).await), (401, 40_100));
    assert_eq!(
        code(&server.post(LOGIN, &credentials("ada", PASSWORD)).await),
        (401, 40_101)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_token_that_is_used_twice_ends_the_session() {
    let database = database().await;
    let server = Server::over(database.url()).await;
    let session = server.post(LOGIN, &credentials(ROOT, PASSWORD)).await.data();
    let old = json!({"refresh_token": session["refresh_token"]});
    let next = server.post(REFRESH, &old).await.data();
    assert_ne!(next["refresh_token"], session["refresh_token"]);
    assert_eq!(next["user"]["session_id"], session["user"]["session_id"]);
    let access = next["access_token"].as_str().expect("a token");
    assert_eq!(server.by(access, "GET", ME, None).await.status, 200);

    assert_eq!(code(&server.post(REFRESH, &old).await), (401, 40_103));
    let newest = json!({"refresh_token": next["refresh_token"]});
    assert_eq!(
        code(&server.post(REFRESH, &newest).await),
        (401, 40_103),
        "the thief's, or the owner's"
    );
    assert_eq!(code(&server.by(access, "GET", ME, None).await), (401, 40_100));
    assert_eq!(
        code(&server.post(REFRESH, &json!({"refresh_token": "x"})).await),
        (401, 40_103)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_ends_at_once_here_and_soon_elsewhere() {
    let database = database().await;
    let server = Server::over(database.url()).await;
    let token = server.log_in(ROOT).await;
    server
        .by(&token, "POST", "/api/v1/auth/logout", None)
        .await
        .data();
    assert_eq!(code(&server.by(&token, "GET", ME, None).await), (401, 40_100));

    let token = server.log_in(ROOT).await;
    let me = server.by(&token, "GET", ME, None).await.data();
    let session = me["session_id"]
        .as_str()
        .expect("a session")
        .parse()
        .expect("a UUID");
    let user = me["id"].as_str().expect("an id").parse().expect("a UUID");
    // As another web server does it.
    login::end(database.store(), &support::nobody(), user, session)
        .await
        .expect("ended");
    until(&server, &token, 401).await;
}

fn forged(header: &Json, claims: &str, sign: impl FnOnce(&str) -> Vec<u8>) -> String {
    let body = format!("{}.{claims}", URL_SAFE_NO_PAD.encode(header.to_string()));
    let signature = URL_SAFE_NO_PAD.encode(sign(&body));
    format!("{body}.{signature}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_our_signature_counts() {
    let database = database().await;
    let server = Server::over(database.url()).await;
    let token = server.token.clone().expect("a token");
    let keys = server.by("", "GET", "/.well-known/jwks.json", None).await.json();
    assert_eq!(keys, server.by("", "GET", "/api/v1/auth/jwks", None).await.json());
    let key = &keys["keys"][0];
    assert_eq!(
        (&key["kty"], &key["alg"], key.get("d")),
        (&json!("RSA"), &json!("RS256"), None)
    );
    let parts: Vec<&str> = token.split('.').collect();
    let kid = &key["kid"];
    let hmac = |secret: &[u8], body: &str| {
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret);
        ring::hmac::sign(&key, body.as_bytes()).as_ref().to_vec()
    };
    let modulus = URL_SAFE_NO_PAD
        .decode(key["n"].as_str().expect("a modulus"))
        .expect("base64");
    let own = json!({"alg": "RS256", "typ": "JWT", "kid": kid});
    let forgeries = [
        forged(&json!({"alg": "none", "kid": kid}), parts[1], |_| Vec::new()),
        forged(&json!({"alg": "none"}), parts[1], |_| Vec::new()),
        forged(&json!({"alg": "HS256", "kid": kid}), parts[1], |body| {
            hmac(&modulus, body)
        }),
        forged(&json!({"alg": "HS256", "kid": kid}), parts[1], |body| {
            hmac(key.to_string().as_bytes(), body)
        }),
        forged(&own, parts[1], |body| hmac(&modulus, body)),
        forged(&json!({"alg": "RS256", "kid": "another"}), parts[1], |_| {
            vec![0; 256]
        }),
        forged(&json!({"alg": "RS256"}), parts[1], |_| vec![0; 256]),
        format!("{}.{}.{}", parts[0], URL_SAFE_NO_PAD.encode("{}"), parts[2]),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{}.{}", parts[0], parts[1]),
        "vmst_".to_owned(),
        format!("vmst_{}_x", uuid::Uuid::nil().simple()),
        "x".repeat(5000),
    ];
    for forgery in forgeries {
        let answer = server.by(&forgery, "GET", ME, None).await;
        assert_eq!(code(&answer), (401, 40_100), "{forgery}");
        assert_eq!(answer.header("www-authenticate"), "Bearer");
    }
    for proof in ["", "Basic cm9vdDpyb290", "Bearer"] {
        let answer = server.request("GET", ME, &[("Authorization", proof)]).await;
        assert_eq!(code(&answer), (401, 40_100), "{proof:?}");
    }
    assert_eq!(server.get(ME).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_signing_key_logs_nobody_out_and_a_removed_one_signs_nothing() {
    let database = database().await;
    let server = Server::over(database.url()).await;
    let old = server.token.clone().expect("a token");
    let first = signing_key::list(database.store()).await.expect("keys")[0]
        .kid
        .clone();
    let retire = "UPDATE signing_key SET retires_at = now() + interval '1 h'";
    database
        .client()
        .await
        .expect("a client")
        .batch_execute(retire)
        .await
        .expect("retired");

    let new = server.log_in(ROOT).await;
    let keys = signing_key::list(database.store()).await.expect("keys");
    assert_eq!(keys.len(), 2);
    assert_ne!(keys[0].kid, first);
    for token in [&old, &new] {
        assert_eq!(server.by(token, "GET", ME, None).await.status, 200);
    }
    signing_key::remove(database.store(), &support::nobody(), &first)
        .await
        .expect("removed");
    until(&server, &old, 401).await;
    assert_eq!(server.by(&new, "GET", ME, None).await.status, 200);
    let published = server.get("/api/v1/auth/jwks").await.json();
    assert_eq!(published["keys"].as_array().map(Vec::len), Some(1));
}

/// The cookies that an answer sets, as a browser sends them back, and the CSRF token among them.
fn cookies(answer: &Answer) -> (String, String) {
    let set: Vec<&str> = answer
        .headers
        .get_all("set-cookie")
        .iter()
        .map(|cookie| cookie.to_str().expect("ASCII"))
        .collect();
    assert_eq!(set.len(), 3, "{set:?}");
    for cookie in &set {
        assert!(cookie.contains("SameSite=Strict"), "{cookie}");
        assert_eq!(
            cookie.contains("HttpOnly"),
            !cookie.starts_with("vmscope_csrf="),
            "{cookie}"
        );
    }
    let pairs: Vec<&str> = set.iter().filter_map(|cookie| cookie.split(';').next()).collect();
    let csrf = pairs.iter().find_map(|pair| pair.strip_prefix("vmscope_csrf="));
    (pairs.join("; "), csrf.expect("a token").to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_browser_changes_comes_from_an_own_page() {
    let database = database().await;
    let server = Server::over(database.url()).await;
    let login = json!({"login": ROOT, "password": PASSWORD, "cookies": true});
    let answer = server.post(LOGIN, &login).await;
    let (jar, csrf) = cookies(&answer);
    let session = answer.data();
    assert_eq!(
        (session.get("access_token"), session.get("refresh_token")),
        (None, None)
    );
    assert_eq!(server.request("GET", ME, &[("Cookie", &jar)]).await.status, 200);

    let json = ("Content-Type", "application/json");
    let change = async |path: &str, more: &[(&str, &str)], body: &str| {
        let headers = [&[("Cookie", jar.as_str()), json], more].concat();
        let method = if path == ME { "PATCH" } else { "POST" };
        server.with_body(method, path, &headers, body.to_owned()).await
    };
    let body = json!({"display_name": "Root"}).to_string();
    assert_eq!(code(&change(ME, &[], &body).await), (403, 40_302));
    assert_eq!(
        code(&change(ME, &[("X-CSRF-Token", "guess")], &body).await),
        (403, 40_302)
    );
    let own = ("X-CSRF-Token", csrf.as_str());
    let foreign = [own, ("Origin", "http://evil.example")];
    assert_eq!(code(&change(ME, &foreign, &body).await), (403, 40_300));
    assert_eq!(
        change(ME, &[own], &body).await.data()["display_name"],
        json!("Root")
    );
    assert_eq!(code(&change(REFRESH, &[], "{}").await), (403, 40_302));
    let (jar_after, csrf_after) = cookies(&change(REFRESH, &[own], "{}").await);
    assert!(jar_after != jar && csrf_after != csrf);
    let out = [
        ("Cookie", jar_after.as_str()),
        ("X-CSRF-Token", csrf_after.as_str()),
    ];
    let answer = server.request("POST", "/api/v1/auth/logout", &out).await;
    let gone = answer.headers.get_all("set-cookie").iter();
    assert!(
        gone.map(|cookie| cookie.to_str().expect("ASCII"))
            .all(|cookie| cookie.contains("Max-Age=0"))
    );
    assert_eq!(
        server.request("GET", ME, &[("Cookie", &jar_after)]).await.status,
        401
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_has_an_allowance_and_is_told_when_to_come_again() {
    let database = database().await;
    let number = |number| NonZeroU32::new(number).expect("not zero");
    let limits = limit::Config {
        requests_per_s: number(1),
        burst: number(20),
        logins_per_min: number(10),
        failed_logins_per_min: number(2),
    };
    let identity = support::identity(&support::authority(), &Role::Web("test".to_owned()));
    let server = Server::limited(database.url(), Vec::new(), &identity, limits).await;
    for name in ["a", "b", "c"] {
        assert_eq!(
            code(&server.post(LOGIN, &credentials(name, "wrong")).await),
            (401, 40_101)
        );
    }
    let refused = server.post(LOGIN, &credentials("d", "wrong")).await;
    assert_eq!(code(&refused), (429, 42_900), "one address tries many names");
    assert!(
        refused
            .header("retry-after")
            .parse::<u64>()
            .is_ok_and(|wait| wait > 0)
    );
    let mut left = 30;
    let refused = loop {
        let answer = server.get("/api/v1/openapi.json").await;
        if answer.status != 200 {
            break answer;
        }
        left -= 1;
        assert!(left > 0, "never refused");
    };
    assert_eq!(code(&refused), (429, 42_900));
}

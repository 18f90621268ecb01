//! Every endpoint, asked by everybody: the answers are those of `tests/matrix.txt`.
//!
//! Each is asked for things that do not exist, or with an empty body: who may is told 200, 400, 404 or the like, who may not 401 or
//! 403. A route that is new, or lost, fails until the table says who may call it.

use crate::support::{Server, make_user, send};
use serde_json::{Value as Json, json};
use std::fmt::Write;
use vmscope_model::access::{ADMIN, OPERATOR, SUPER_ADMIN, Scope, VIEWER};
use vmscope_store::Flavor;
use vmscope_store::testing::Database;

const TABLE: &str = include_str!("../matrix.txt");
const PEOPLE: [&str; 6] = [
    "anonymous",
    "nobody",
    "viewer",
    "operator",
    "admin",
    "super_admin",
];
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// The routes of the API's description, with ids of things that do not exist.
fn routes(document: &Json) -> Vec<(String, String, bool)> {
    let mut routes = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for method in METHODS {
            let Some(operation) = item.get(method) else {
                continue;
            };
            assert!(
                operation["x-permission"].is_string(),
                "{method} {path} says nothing of who may call it"
            );
            routes.push((
                method.to_uppercase(),
                path.clone(),
                operation.get("requestBody").is_some(),
            ));
        }
    }
    routes.sort_by(|one, two| (&one.1, &one.0).cmp(&(&two.1, &two.0)));
    routes
}

async fn ask(server: &Server, token: &str, method: &str, path: &str, has_body: bool) -> u16 {
    let path = path
        .replace("{name}", "vm.read")
        .replace("{id}", "00000000-0000-4000-8000-0000000000ff")
        .replace("{grant}", "00000000-0000-4000-8000-0000000000fe");
    let bearer = format!("Bearer {token}");
    let mut headers = Vec::new();
    if !token.is_empty() {
        headers.push(("Authorization", bearer.as_str()));
    }
    let mut body = String::new();
    if has_body {
        headers.push(("Content-Type", "application/json"));
        "{}".clone_into(&mut body);
    }
    send(server.address, method, &path, &headers, body).await.status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_endpoint_answers_every_role_as_the_table_says() {
    let database = Database::create(Flavor::Postgres).await.expect("a database");
    let server = Server::over(database.url()).await;
    for (name, role) in [
        ("nobody", None),
        ("viewer", Some(VIEWER)),
        ("operator", Some(OPERATOR)),
        ("admin", Some(ADMIN)),
        ("super_admin", Some(SUPER_ADMIN)),
    ] {
        let roles: Vec<_> = role.map(|role| (role, Scope::All)).into_iter().collect();
        make_user(database.store(), name, &roles).await;
    }
    let document = server.get("/api/v1/openapi.json").await.json();
    let mut answers = String::new();
    let mut tokens = Vec::new();
    for name in &PEOPLE[1..] {
        tokens.push(server.log_in(name).await);
    }
    for (method, path, has_body) in routes(&document) {
        write!(
            answers,
            "{method} {path} {}",
            ask(&server, "", &method, &path, has_body).await
        )
        .expect("a text");
        for (token, name) in tokens.iter_mut().zip(&PEOPLE[1..]) {
            let status = ask(&server, token, &method, &path, has_body).await;
            write!(answers, " {status}").expect("a text");
            if path.ends_with("/logout") {
                *token = server.log_in(name).await;
            }
        }
        answers.push('\n');
    }
    let expected: String = TABLE
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .fold(String::new(), |text, line| text + line + "\n");
    let differences: Vec<&str> = answers
        .lines()
        .filter(|line| !expected.lines().any(|known| known == *line))
        .chain(
            expected
                .lines()
                .filter(|line| !answers.lines().any(|known| known == *line)),
        )
        .collect();
    assert!(
        answers == expected,
        "web/tests/matrix.txt is not what the server answers. Lines that differ:\n{}\n\nThe whole table:\n{answers}",
        differences.join("\n")
    );
}

/// A person whose roles hold for a group alone is told of nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scoped_rights_give_nothing_about_the_installation() {
    let database = Database::create(Flavor::Postgres).await.expect("a database");
    let server = Server::over(database.url()).await;
    let group = json!({"name": "front", "description": ""});
    let made = server.post("/api/v1/groups", &group).await.data();
    let id = made["id"].as_str().expect("an id").parse().expect("a UUID");
    let (_, token) = server
        .person(database.store(), "ada", &[(ADMIN, Scope::Group(id))])
        .await;
    for (path, status) in [
        ("/api/v1/vms", 200),
        ("/api/v1/groups", 200),
        ("/api/v1/users", 403),
        ("/api/v1/audit", 403),
        ("/api/v1/system", 403),
        ("/api/v1/roles", 403),
    ] {
        assert_eq!(
            server.by(&token, "GET", path, None).await.status,
            status,
            "{path}"
        );
    }
}

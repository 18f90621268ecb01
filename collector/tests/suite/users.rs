//! `vmscope-collector user`, by the real program.

use crate::cli::{collector, configure};
use crate::support::{Site, database, until};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use vmscope_store::testing::Database;
use vmscope_store::{Flavor, audit, lockout, login, setup};
use vmscope_vault::{code, password};

const GOOD: &str = "correct horse battery staple";

/// `vmscope-collector user ...` with something on standard input.
fn user(config: &str, arguments: &[&str], input: &str) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_vmscope-collector"))
        .arg("user")
        .args(arguments)
        .args(["--config", config])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program runs");
    let mut pipe = program.stdin.take().expect("a pipe");
    // A program that refuses its arguments reads nothing.
    let _ = pipe.write_all(input.as_bytes());
    drop(pipe);
    program.wait_with_output().expect("it ends")
}

fn done(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn refusal(output: &Output) -> String {
    assert!(!output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

async fn installation(folder: &Path) -> (Database, String) {
    let database = database(Flavor::Postgres).await;
    let config = configure(folder, database.url());
    (database, config)
}

async fn knows(database: &Database, name: &str, word: &str) -> bool {
    let found = login::credentials(database.store(), name).await.expect("read");
    password::verify(word, &found.expect("a user").password_hash)
}

#[tokio::test(flavor = "multi_thread")]
async fn users_are_made_listed_let_in_again_and_deleted() {
    let folder = tempfile::tempdir().expect("a folder");
    let (database, config) = installation(folder.path()).await;
    let file = folder.path().join("password");
    std::fs::write(&file, format!("{GOOD}\nwhat follows is not part of it\n")).expect("written");
    let file = file.to_str().expect("text");
    let root = ["create", "root", "--role", "super_admin", "--password-file", file];
    done(&user(&config, &root, ""));
    let ada = ["create", "ada", "--role", "viewer", "--email", "ada@example.com"];
    done(&user(&config, &ada, &format!("{GOOD}\n")));
    assert!(knows(&database, "root", GOOD).await && knows(&database, "ADA@example.com", GOOD).await);

    let listed = done(&user(&config, &["list"], ""));
    let lines: Vec<&str> = listed.lines().collect();
    assert!(
        lines[1].starts_with("ada") && lines[1].ends_with("viewer"),
        "{listed}"
    );
    assert!(
        lines[2].starts_with("root") && lines[2].ends_with("super_admin"),
        "{listed}"
    );

    done(&user(
        &config,
        &["reset-password", "ada"],
        "another horse battery staple",
    ));
    assert!(!knows(&database, "ada", GOOD).await);
    assert!(done(&user(&config, &["list"], "")).contains("must change password"));

    let found = login::credentials(database.store(), "ada").await.expect("read");
    let key = lockout::Key::of_user(found.expect("a user").user.id);
    for _ in 0..lockout::MAX_FAILURES {
        let context = audit::Context {
            actor: audit::Actor::Anonymous {
                claimed: "ada".to_owned(),
            },
            remote: "192.0.2.7".to_owned(),
            request_id: String::new(),
        };
        lockout::fail(database.store(), &context, &key, None, 40_101)
            .await
            .expect("noted");
    }
    assert!(done(&user(&config, &["list"], "")).contains("locked"));
    done(&user(&config, &["unlock", "ada"], ""));
    let locked = lockout::locked_until(database.store(), &key).await.expect("read");
    assert_eq!(locked, None);

    done(&user(&config, &["delete", "ada@example.com"], ""));
    assert!(refusal(&user(&config, &["delete", "ada"], "")).contains("there is no user ada"));
    assert!(refusal(&user(&config, &["delete", "root"], "")).contains("nobody would be left"));
    let filter = audit::Filter {
        limit: 100,
        ..audit::Filter::default()
    };
    let entries = audit::list(database.store(), &filter).await.expect("read");
    let by_hand = entries
        .iter()
        .filter(|entry| entry.actor_name.starts_with("command line"));
    let actions: Vec<&str> = by_hand.map(|entry| entry.action.as_str()).collect();
    assert_eq!(
        actions,
        [
            "user.delete",
            "user.unlock",
            "user.password",
            "grant.create",
            "user.create",
            "grant.create",
            "user.create"
        ]
    );
    let told = format!("{entries:?}");
    assert!(!told.contains("horse") && !told.contains("$argon2id$"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_that_can_not_be_is_refused_with_the_reason() {
    let folder = tempfile::tempdir().expect("a folder");
    let (database, config) = installation(folder.path()).await;
    let create = |name, role, word: &str| refusal(&user(&config, &["create", name, "--role", role], word));
    assert!(create("ada", "viewer", "short").contains("it needs 12 characters"));
    assert!(create("lovelace", "viewer", "my name is Lovelace 1").contains("contains the name"));
    assert!(create("ada", "viewer", "").contains("it needs 12 characters"));
    assert!(create("ada", "king", GOOD).contains("there is no role king"));
    assert!(create("a@b", "viewer", GOOD).contains("a value is not allowed"));
    let nowhere = [
        "create",
        "ada",
        "--role",
        "viewer",
        "--password-file",
        "/nowhere/at/all",
    ];
    assert!(refusal(&user(&config, &nowhere, "")).contains("/nowhere/at/all can't be read"));
    let shown = collector(&[
        "user", "create", "ada", GOOD, "--role", "viewer", "--config", &config,
    ]);
    assert!(
        refusal(&shown).contains("unexpected argument"),
        "a password is no argument"
    );
    assert!(
        setup::is_needed(database.store()).await.expect("read"),
        "nobody was made"
    );
    done(&user(&config, &["create", "ada", "--role", "viewer"], GOOD));
    assert!(create("ADA", "viewer", GOOD).contains("the name is taken"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_up_code_replaces_the_one_before_and_ends_with_the_first_user() {
    let folder = tempfile::tempdir().expect("a folder");
    let (database, config) = installation(folder.path()).await;
    let first = done(&user(&config, &["setup-code"], ""));
    let second = done(&user(&config, &["setup-code"], ""));
    let store = database.store();
    let context = audit::Context {
        actor: audit::Actor::Anonymous {
            claimed: String::new(),
        },
        remote: "192.0.2.7".to_owned(),
        request_id: String::new(),
    };
    let new = vmscope_store::user::NewUser {
        name: "root".to_owned(),
        email: None,
        display_name: String::new(),
        language: "en".to_owned(),
        password_hash: "a hash".to_owned(),
        must_change_password: false,
    };
    let complete = async |code: &str| {
        let made = setup::complete(store, &context, &code::digest(code), &new).await;
        made.expect("asked").is_some()
    };
    assert!(!complete(&first).await, "it was replaced");
    assert!(complete(&second.to_lowercase()).await);
    assert!(refusal(&user(&config, &["setup-code"], "")).contains("there is a user"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_makes_a_code_when_it_starts_without_users() {
    let database = database(Flavor::Postgres).await;
    let site = Site::start(database.url()).await;
    let has_code = async || setup::has_code(database.store()).await.expect("read");
    until("a code", has_code).await;
    site.stop().await;
}

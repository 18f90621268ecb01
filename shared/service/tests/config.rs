//! What a configuration file may say, and what is said about one that can't be used.
#![expect(clippy::panic, reason = "a helper of tests fails by panicking")]

use serde::Deserialize;
use std::path::{Path, PathBuf};
use vmscope_service::Secret;
use vmscope_service::config::{Error, load, parse};

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Daemon {
    listen: String,
    database: Database,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Database {
    password: Secret,
    #[serde(default)]
    writers: u16,
}

/// Line, key and problem of what is wrong with `text`.
fn wrong(text: &str) -> (usize, String, String) {
    match parse::<Daemon>(text, Path::new("daemon.toml")) {
        Err(Error::Parse {
            path,
            line,
            key,
            problem,
        }) => {
            assert_eq!(path, PathBuf::from("daemon.toml"));
            (line, key, problem)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn reads_a_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("daemon.toml");
    std::fs::write(&path, "listen = 'x'\n[database]\npassword = 'p'\nwriters = 2\n").expect("written");
    let daemon: Daemon = load(&path).expect("valid");
    let database = Database {
        password: Secret::new("p".to_owned()),
        writers: 2,
    };
    assert_eq!(
        daemon,
        Daemon {
            listen: "x".to_owned(),
            database
        }
    );
}

#[test]
fn names_a_file_that_can_not_be_read() {
    let error = load::<Daemon>(Path::new("/nonexistent/daemon.toml")).expect_err("absent");
    assert_eq!(
        error.to_string(),
        "configuration /nonexistent/daemon.toml can't be read"
    );
}

#[test]
fn says_where_the_error_is_and_what_it_is() {
    let (line, key, problem) = wrong("listen = 'x'\n[database]\npassword = 'p'\nwriters = 'many'\n");
    assert_eq!((line, key.as_str()), (4, "database.writers"));
    assert!(problem.contains("invalid type"), "{problem}");

    let (line, key, problem) = wrong("listen = 'x'\n[database]\npassword = 'p'\nwriter = 2\n");
    assert_eq!((line, key.as_str()), (4, "database.writer"));
    assert!(problem.contains("unknown field `writer`"), "{problem}");

    let (line, key, problem) = wrong("[database]\npassword = 'p'\n");
    assert_eq!((line, key.as_str()), (1, "."));
    assert!(problem.contains("missing field `listen`"), "{problem}");

    let (line, _, _) = wrong("listen = 'x'\n\n[database\n");
    assert_eq!(line, 3);
}

#[test]
fn takes_secrets_from_files_and_from_the_environment() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("password");
    std::fs::write(&file, "from file\n").expect("written");
    let database = |password: &str| {
        let text = format!("listen = 'x'\n[database]\npassword = {password}\n");
        parse::<Daemon>(&text, Path::new("daemon.toml")).map(|daemon| daemon.database.password)
    };
    let in_file = database(&format!("{{ file = '{}' }}", file.display())).expect("there");
    assert_eq!(in_file.expose(), "from file");
    let in_environment = database("{ env = 'CARGO_PKG_NAME' }").expect("set by cargo");
    assert_eq!(in_environment.expose(), "vmscope-service");
    let absent = database("{ file = '/nonexistent/password' }")
        .expect_err("absent")
        .to_string();
    assert!(
        absent.contains("/nonexistent/password") && absent.contains("line 3"),
        "{absent}"
    );
    database("{ env = 'VMSCOPE_TEST_NEVER_SET' }").expect_err("not set");
    database("{ flie = 'x' }").expect_err("no such form");
}

#[test]
fn shows_a_secret_nowhere() {
    let secret = Secret::new("hunter2".to_owned());
    assert_eq!(format!("{secret:?}"), "***");
    let text = "listen = 'x'\n[database]\npassword = 'hunter2'\nunknown = 1\n";
    let error = parse::<Daemon>(text, Path::new("daemon.toml")).expect_err("unknown key");
    assert!(!format!("{error:?} {error}").contains("hunter2"), "{error:?}");
    let number = toml::from_str::<std::collections::BTreeMap<String, Secret<u16>>>("pin = 'hunter2'");
    assert!(!number.expect_err("no number").message().contains("hunter2"));
}

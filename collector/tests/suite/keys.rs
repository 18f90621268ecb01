//! `vmscope-collector key`, by the real program.

use crate::cli::{collector, configure};
use crate::support::database;
use std::path::{Path, PathBuf};
use std::process::Output;
use vmscope_store::{Flavor, audit, signing_key};
use vmscope_vault::{KeySource, Vault};

/// A configuration that names a key file, which is not there yet.
fn configure_vault(folder: &Path, url: &str) -> (String, PathBuf) {
    let (config, keys) = (configure(folder, url), folder.join("master-keys"));
    let text = std::fs::read_to_string(&config).expect("read");
    let vault = format!("{text}[vault]\nmaster_keys = \"{}\"\n", keys.display());
    std::fs::write(&config, vault).expect("written");
    (config, keys)
}

fn key(config: &str, arguments: &[&str]) -> Output {
    collector(&[&["key"], arguments, &["--config", config]].concat())
}

fn done(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn refusal(output: &Output) -> String {
    assert!(!output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_generated_listed_rotated_and_retired() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = database(Flavor::Postgres).await;
    let (config, file) = configure_vault(folder.path(), database.url());
    assert!(refusal(&collector(&["check-config", "--config", &config])).contains("master-keys"));
    done(&key(&config, &["generate"]));
    done(&collector(&["check-config", "--config", &config]));
    let keys = KeySource::open(&file).expect("a key file");
    let old = keys.known().ids().next().expect("a key").to_owned();
    let vault = Vault::new(database.store().clone(), keys);
    let id = vault.put("totp", "anna", b"one").await.expect("put");
    assert!(refusal(&key(&config, &["retire", &old])).contains("generate another one first"));
    done(&key(&config, &["generate"]));
    assert!(refusal(&key(&config, &["retire", &old])).contains("1 secrets are sealed under"));
    assert!(done(&key(&config, &["rotate"])).contains("1 secrets were sealed anew"));
    assert_eq!(
        vault.get(id, "totp", "anna").await.expect("opened").as_slice(),
        b"one"
    );
    let listed = done(&key(&config, &["list"]));
    let lines: Vec<Vec<&str>> = listed
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!((lines[1][1], lines[1][2]), ("seals", "1"), "{listed}");
    assert_eq!(lines[2][..3], [old.as_str(), "opens", "0"], "{listed}");
    done(&key(&config, &["retire", &old]));
    assert!(!std::fs::read_to_string(&file).expect("read").contains(&old));
    assert!(done(&key(&config, &["list"])).contains("retired"));
    assert!(refusal(&key(&config, &["retire", &old])).contains("has no key"));
    assert_eq!(
        vault.get(id, "totp", "anna").await.expect("opened").as_slice(),
        b"one"
    );
    let filter = audit::Filter {
        limit: 10,
        ..audit::Filter::default()
    };
    let entries = audit::list(database.store(), &filter).await.expect("read");
    let actions: Vec<&str> = entries.iter().map(|entry| entry.action.as_str()).collect();
    assert_eq!(
        actions,
        ["key.retire", "key.rotate", "key.generate", "key.generate"]
    );
    assert!(
        entries
            .iter()
            .all(|entry| entry.actor_name.starts_with("command line"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_key_is_made_before_there_is_a_database() {
    let folder = tempfile::tempdir().expect("a folder");
    let (config, file) = configure_vault(folder.path(), "postgres://127.0.0.1:1/nothing");
    let said = done(&key(&config, &["generate"]));
    assert!(said.contains("not written into the audit trail"), "{said}");
    assert!(KeySource::open(&file).is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_can_not_be_opened_is_named_by_its_rotation() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = database(Flavor::Postgres).await;
    let (config, file) = configure_vault(folder.path(), database.url());
    done(&key(&config, &["generate"]));
    let vault = Vault::new(
        database.store().clone(),
        KeySource::open(&file).expect("a key file"),
    );
    let lost = vault.put("totp", "anna", b"one").await.expect("put");
    std::fs::remove_file(&file).expect("removed");
    done(&key(&config, &["generate"]));
    let rotated = key(&config, &["rotate"]);
    assert!(refusal(&rotated).contains("1 secrets can't be opened"));
    assert!(
        String::from_utf8_lossy(&rotated.stdout).contains(&lost.to_string()),
        "{rotated:?}"
    );
    assert!(done(&key(&config, &["list"])).contains("MISSING"));
}

/// A web server's signing keys: the old one verifies on, unless it is known to others.
#[tokio::test(flavor = "multi_thread")]
async fn the_key_that_signs_tokens_is_replaced_with_and_without_an_overlap() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = database(Flavor::Postgres).await;
    let (config, _) = configure_vault(folder.path(), database.url());
    done(&key(&config, &["generate"]));
    let vault = Vault::new(
        database.store().clone(),
        KeySource::open(&folder.path().join("master-keys")).expect("a key file"),
    );
    let activate = async |kid: &str| {
        let secret = vault.put("jwt", kid, b"private").await.expect("put");
        let new = signing_key::NewKey {
            kid,
            public_jwk: "{}",
            secret,
        };
        let context = audit::Context {
            actor: audit::Actor::System {
                name: "test".to_owned(),
            },
            remote: String::new(),
            request_id: String::new(),
        };
        signing_key::activate(database.store(), &context, &new, None, 0)
            .await
            .expect("asked")
    };
    let keys = async || {
        let keys = signing_key::list(database.store()).await.expect("read");
        keys.into_iter()
            .map(|key| (key.kid, key.retires_at.is_some()))
            .collect::<Vec<_>>()
    };
    assert!(done(&key(&config, &["rotate-signing"])).contains("no key signs"));
    assert!(activate("one").await);
    assert!(!activate("two").await, "one signs at a time");
    assert!(done(&key(&config, &["rotate-signing"])).contains("key one signs no more"));
    assert_eq!(keys().await, [("one".to_owned(), true)]);
    assert!(activate("three").await);
    assert_eq!(
        keys().await,
        [("three".to_owned(), false), ("one".to_owned(), true)]
    );
    done(&key(&config, &["rotate-signing", "--at-once"]));
    assert_eq!(keys().await, []);
    assert!(activate("four").await);
    let filter = audit::Filter {
        action: Some("signing_key.re".to_owned()),
        limit: 10,
        ..audit::Filter::default()
    };
    let entries = audit::list(database.store(), &filter).await.expect("read");
    let actions: Vec<&str> = entries.iter().map(|entry| entry.action.as_str()).collect();
    assert_eq!(
        actions,
        ["signing_key.remove", "signing_key.remove", "signing_key.retire"]
    );
}

//! The commands, by the real program.

use crate::support::database;
use std::path::Path;
use std::process::{Command, Output};
use vmscope_store::Flavor;

pub(crate) fn collector(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_vmscope-collector"))
        .args(arguments)
        .output()
        .expect("the program runs")
}

/// Makes an authority, a certificate and a configuration in `folder`; gives the configuration's path.
pub(crate) fn configure(folder: &Path, url: &str) -> String {
    let (ca, out) = (folder.join("ca"), folder.join("collector"));
    let (ca, out) = (ca.to_str().expect("text"), out.to_str().expect("text"));
    assert!(collector(&["ca", "init", "--dir", ca]).status.success());
    let issue = [
        "ca",
        "issue",
        "--dir",
        ca,
        "--role",
        "collector",
        "--id",
        "north",
        "--out",
        out,
    ];
    assert!(collector(&issue).status.success());
    let text = format!(
        "[identity]\nca = \"{out}/ca.pem\"\ncertificate = \"{out}/certificate.pem\"\nkey = \"{out}/key.pem\"\n\
         [database]\nurl = \"{url}\"\n"
    );
    let file = folder.join("collector.toml");
    std::fs::write(&file, text).expect("written");
    file.to_str().expect("text").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_configuration_and_migration_come_from_the_command_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = database(Flavor::Postgres).await;
    let config = configure(folder.path(), database.url());
    let checked = collector(&["check-config", "--config", &config]);
    assert!(checked.status.success(), "{checked:?}");
    let migrated = collector(&["migrate", "--config", &config]);
    assert!(migrated.status.success(), "{migrated:?}");
}

#[test]
fn an_authority_is_never_overwritten_and_a_wrong_name_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let ca = folder.path().to_str().expect("text");
    assert!(collector(&["ca", "init", "--dir", ca]).status.success());
    let again = collector(&["ca", "init", "--dir", ca]);
    assert!(!again.status.success());
    assert!(
        String::from_utf8_lossy(&again.stderr).contains("exists already"),
        "{again:?}"
    );
    let issue = [
        "ca",
        "issue",
        "--dir",
        ca,
        "--role",
        "agent",
        "--id",
        "not-a-uuid",
        "--out",
        ca,
    ];
    assert!(!collector(&issue).status.success());
}

#[test]
fn check_config_names_what_is_missing() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = configure(folder.path(), "postgres://localhost/vmscope");
    std::fs::remove_file(folder.path().join("collector/key.pem")).expect("removed");
    let checked = collector(&["check-config", "--config", &config]);
    assert!(!checked.status.success());
    assert!(
        String::from_utf8_lossy(&checked.stderr).contains("key.pem"),
        "{checked:?}"
    );
}

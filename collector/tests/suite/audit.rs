//! The audit trail: signed by collectors that run, verified by the real program.

use crate::cli::{collector, configure};
use crate::support::{Site, database, until};
use std::path::Path;
use std::process::Output;
use std::sync::Arc;
use vmscope_link::Authority;
use vmscope_store::audit::{self, Actor, Context, Entry};
use vmscope_store::testing::Database;
use vmscope_store::{Flavor, collector as collectors};
use vmscope_vault::Keyring;

/// A collector that signs, and a configuration for the commands.
struct Signing {
    site: Site,
    config: String,
}

impl Signing {
    async fn start(folder: &Path, database: &Database) -> Self {
        let file = folder.join("master-keys");
        if !file.exists() {
            Keyring::generate_into(&file).expect("made");
        }
        let config = configure(folder.join("north").as_path(), database.url());
        let text = std::fs::read_to_string(&config).expect("read");
        let vault = format!("{text}[vault]\nmaster_keys = \"{}\"\n", file.display());
        std::fs::write(&config, vault).expect("written");
        let authority = Arc::new(Authority::create("test").expect("an authority"));
        let keys = vmscope_vault::Config {
            master_keys: Some(file),
        };
        let site = Site::start_as("test", authority, database.url(), |config| config.vault = keys).await;
        Self { site, config }
    }

    fn verify(&self, more: &[&str]) -> Output {
        collector(&[&["audit", "verify", "--config", &self.config], more].concat())
    }
}

async fn record(database: &Database, entries: usize) {
    let context = Context {
        actor: Actor::System {
            name: "test".to_owned(),
        },
        remote: String::new(),
        request_id: String::new(),
    };
    for _ in 0..entries {
        audit::record(database.store(), &context, &Entry::done("test"))
            .await
            .expect("recorded");
    }
}

async fn execute(database: &Database, statements: &str) {
    database
        .client()
        .await
        .expect("connected")
        .batch_execute(statements)
        .await
        .expect("executed");
}

fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// The last word of the collector's signing.
async fn word(database: &Database) -> Option<(bool, String)> {
    let told = collectors::activities(database.store()).await.expect("read");
    let found = told.into_iter().find(|work| work.name == "audit_checkpoint");
    found.map(|work| (work.done, work.message))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_collector_signs_and_verify_names_what_was_changed() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("north")).expect("made");
    let database = database(Flavor::Postgres).await;
    record(&database, 6).await;
    // The seventh says that the collector has offered a set-up code.
    let signing = Signing::start(folder.path(), &database).await;
    until("a signature", async || {
        word(&database)
            .await
            .is_some_and(|(done, text)| done && text == "signed up to entry 7")
    })
    .await;
    let good = signing.verify(&[]);
    assert!(good.status.success(), "{good:?}");
    assert!(
        said(&good).contains("7 entries and 1 checkpoints looked at, signed up to entry 7"),
        "{good:?}"
    );
    let text = said(&good);
    let mark = text.trim().rsplit(' ').next().expect("a mark").to_owned();
    let cases = [
        (
            "UPDATE audit SET actor_name = 'Bert' WHERE id = 4",
            "entry 4 was altered",
        ),
        ("DELETE FROM audit WHERE id = 4", "entry 4 was removed"),
        (
            "DELETE FROM audit WHERE id > 4",
            "the trail was cut off: entries 5 to 7 were removed",
        ),
        (
            "UPDATE audit_checkpoint SET signature = sha512('x')",
            "checkpoint 1 at entry 7 is not signed by a key of this vault",
        ),
    ];
    execute(
        &database,
        "CREATE TABLE kept AS SELECT * FROM audit; CREATE TABLE signed AS SELECT * FROM audit_checkpoint",
    )
    .await;
    for (statement, wanted) in cases {
        execute(&database, statement).await;
        let found = signing.verify(&[]);
        assert_eq!(found.status.code(), Some(1), "{found:?}");
        assert!(said(&found).contains(wanted), "{found:?}");
        execute(
            &database,
            "DELETE FROM audit; INSERT INTO audit SELECT * FROM kept;
             DELETE FROM audit_checkpoint; INSERT INTO audit_checkpoint SELECT * FROM signed",
        )
        .await;
        assert!(signing.verify(&[]).status.success(), "as it was");
    }
    // Everything since is gone without a trace in the tables: only a mark kept elsewhere knows.
    execute(
        &database,
        "DELETE FROM audit WHERE id > 4; DELETE FROM audit_checkpoint;
         UPDATE audit_head SET (id, hash) = (SELECT id, hash FROM audit WHERE id = 4)",
    )
    .await;
    assert!(signing.verify(&[]).status.success());
    let found = signing.verify(&["--known", &mark]);
    assert!(said(&found).contains("entries 5 to 7 were removed"), "{found:?}");
    assert!(said(&signing.verify(&["--known", "6:abc"])).contains("64 hexadecimal digits"));
    signing.site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_does_not_sign_what_was_tampered_with_until_somebody_accepts_it() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("north")).expect("made");
    let database = database(Flavor::Postgres).await;
    record(&database, 6).await;
    execute(
        &database,
        "DELETE FROM audit WHERE id = 4; DELETE FROM audit_head",
    )
    .await;
    let signing = Signing::start(folder.path(), &database).await;
    until("a refusal to sign", async || {
        word(&database)
            .await
            .is_some_and(|(done, text)| !done && text.contains("tampered"))
    })
    .await;
    let accept = [
        "audit",
        "accept",
        "--config",
        &signing.config,
        "--reason",
        "a test",
    ];
    let accepted = collector(&accept);
    assert!(accepted.status.success(), "{accepted:?}");
    record(&database, 1).await;
    let found = said(&signing.verify(&[]));
    assert!(
        found.contains("entry 4 was removed") && found.contains("signed up to entry 7"),
        "{found}"
    );
    let since = signing.verify(&["--after", "6"]);
    assert!(since.status.success(), "{since:?}");
    let filter = audit::Filter {
        limit: 2,
        ..audit::Filter::default()
    };
    let entries = audit::list(database.store(), &filter).await.expect("read");
    assert_eq!(entries[1].action, "audit.accept");
    let after = entries[1].after.as_ref().expect("findings").to_string();
    assert!(
        after.contains("entry 4 was removed") && after.contains("a test"),
        "{after}"
    );
    signing.site.stop().await;
}

/// What was signed can't be checked any more; what is signed from then on can.
#[tokio::test(flavor = "multi_thread")]
async fn a_trail_whose_key_was_lost_goes_on_when_somebody_accepts_it() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("north")).expect("made");
    let database = database(Flavor::Postgres).await;
    let signing = Signing::start(folder.path(), &database).await;
    let signed = async || word(&database).await.is_some_and(|(done, _)| done);
    until("a signature", signed).await;
    signing.site.stop().await;
    std::fs::remove_file(folder.path().join("master-keys")).expect("removed");
    let signing = Signing::start(folder.path(), &database).await;
    until("a failure to sign", async || {
        word(&database)
            .await
            .is_some_and(|(done, text)| !done && text.contains("which is not in the key file"))
    })
    .await;
    let found = signing.verify(&[]);
    assert!(
        said(&found).contains("what it has signed can't be checked"),
        "{found:?}"
    );
    assert!(
        said(&found).contains("checkpoint 1 at entry 1 is not signed by a key of this vault"),
        "{found:?}"
    );
    let accept = ["audit", "accept", "--config", &signing.config, "--reason", "lost"];
    let accepted = collector(&accept);
    assert!(accepted.status.success(), "{accepted:?}");
    let since = signing.verify(&["--after", "1"]);
    assert!(since.status.success(), "{since:?}");
    assert!(said(&since).contains("signed up to entry 2"), "{since:?}");
    signing.site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_grants_the_web_servers_role_its_rights() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = database(Flavor::Postgres).await;
    let role = format!("web_{}", uuid::Uuid::new_v4().simple());
    vmscope_store::schema::make_login(database.store(), &role, "x")
        .await
        .expect("made");
    let config = configure(folder.path(), database.url());
    let text = std::fs::read_to_string(&config).expect("read");
    let with =
        |name: &str| std::fs::write(&config, format!("{text}web_role = \"{name}\"\n")).expect("written");
    let may = async |what: &str| -> bool {
        let query = format!("SELECT has_table_privilege('{role}', 'audit', '{what}')");
        let client = database.client().await.expect("connected");
        client.query_one(&query, &[]).await.expect("asked").get(0)
    };
    assert!(!may("SELECT").await);
    with(&role);
    assert!(collector(&["migrate", "--config", &config]).status.success());
    assert!(may("SELECT").await && !may("INSERT").await && !may("UPDATE").await);
    with("no_such_role");
    let refused = collector(&["migrate", "--config", &config]);
    assert!(
        said(&refused).contains("no_such_role can't be used: there is no such role"),
        "{refused:?}"
    );
    execute(&database, &format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_does_at_the_command_line_is_in_the_trail_without_secrets() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = database(Flavor::Postgres).await;
    let config = configure(folder.path(), database.url());
    let text = std::fs::read_to_string(&config).expect("read");
    let authority = format!("[authority]\ndir = \"{}\"\n", folder.path().join("ca").display());
    std::fs::write(&config, format!("{authority}{text}")).expect("written");
    let command = |arguments: &[&str]| {
        let output = collector(&[arguments, &["--config", &config]].concat());
        assert!(output.status.success(), "{output:?}");
        said(&output)
    };
    let made = command(&["enrol", "token", "create", "--label", "rack 7"]);
    let token = made.split_whitespace().nth(1).expect("a token");
    let id = token.split('_').nth(1).expect("an id");
    command(&["enrol", "token", "revoke", id]);
    let host = "00000000-0000-0000-0000-000000000009";
    command(&["host", "revoke", host, "--reason", "sold"]);
    command(&["host", "remove", host]);
    let filter = audit::Filter {
        limit: 10,
        ..audit::Filter::default()
    };
    let entries = audit::list(database.store(), &filter).await.expect("read");
    let seen: Vec<_> = entries
        .iter()
        .map(|entry| (entry.action.as_str(), entry.target_id.as_deref()))
        .collect();
    let wanted = [
        ("host.remove", Some(host)),
        ("host.revoke", Some(host)),
        ("enrolment_token.revoke", Some(id)),
        ("enrolment_token.create", Some(id)),
    ];
    assert_eq!(seen, wanted);
    let secret = token.rsplit('_').next().expect("a secret");
    assert!(!format!("{entries:?}").contains(secret), "{entries:?}");
}

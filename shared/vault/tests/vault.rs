//! The vault over a real database.

#![expect(clippy::expect_used, reason = "a test fails by panicking, in its helpers too")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tempfile::TempDir;
use tokio::task::JoinSet;
use uuid::Uuid;
use vmscope_store::testing::Database;
use vmscope_store::{Flavor, audit, secret};
use vmscope_vault::{Error, KeySource, Keyring, PublicKeys, Rotated, Signer, Vault};

/// A vault of its own: a database, a key file, and the vault of one program.
struct Site {
    database: Database,
    folder: TempDir,
    vault: Vault,
}

impl Site {
    async fn new() -> Self {
        let database = Database::create(Flavor::Postgres).await.expect("a test server");
        let folder = tempfile::tempdir().expect("a folder");
        Keyring::generate_into(&folder.path().join("master-keys")).expect("made");
        let vault = vault(&database, &folder.path().join("master-keys"));
        Self {
            database,
            folder,
            vault,
        }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("master-keys")
    }

    /// The vault of another program.
    fn another(&self) -> Vault {
        vault(&self.database, &self.file())
    }

    async fn execute(&self, statements: &str) {
        let client = self.database.client().await.expect("connected");
        client.batch_execute(statements).await.expect("executed");
    }
}

fn vault(database: &Database, file: &Path) -> Vault {
    Vault::new(
        database.store().clone(),
        KeySource::open(file).expect("a key file"),
    )
}

async fn text(vault: &Vault, id: Uuid) -> String {
    let plain = vault.get(id, "totp", "anna").await.expect("opened");
    String::from_utf8(plain.to_vec()).expect("text")
}

#[tokio::test]
async fn a_secret_is_put_read_replaced_and_removed() {
    let site = Site::new().await;
    let vault = &site.vault;
    let id = vault.put("totp", "anna", b"one").await.expect("put");
    assert_eq!(text(&site.another(), id).await, "one");
    vault.replace(id, "totp", "anna", b"two").await.expect("replaced");
    assert_eq!(text(vault, id).await, "two");
    assert_eq!(vault.find("totp", "anna").await.expect("found"), Some(id));
    assert!(vault.remove(id).await.expect("removed"));
    assert!(!vault.remove(id).await.expect("nothing there"));
    let gone = vault.get(id, "totp", "anna").await;
    assert!(matches!(gone, Err(Error::Missing(missing)) if missing == id));
    assert!(matches!(
        vault.replace(id, "totp", "anna", b"x").await,
        Err(Error::Missing(_))
    ));
}

#[tokio::test]
async fn the_database_has_neither_the_secret_nor_a_key() {
    let site = Site::new().await;
    site.vault
        .put("totp", "anna", b"correct horse battery")
        .await
        .expect("put");
    let client = site.database.client().await.expect("connected");
    let rows = client
        .query("SELECT s::text, encode(sealed, 'escape') FROM secret s", &[])
        .await
        .expect("read");
    let file = std::fs::read_to_string(site.file()).expect("read");
    let key = file.split_whitespace().last().expect("a key");
    for row in rows {
        for text in [row.get::<_, String>(0), row.get(1)] {
            assert!(!text.contains("horse") && !text.contains(key), "{text}");
        }
    }
    assert!(!format!("{:?}", site.vault).contains(key));
}

#[tokio::test]
async fn a_secret_opens_only_for_its_purpose_and_owner() {
    let site = Site::new().await;
    let id = site.vault.put("totp", "anna", b"one").await.expect("put");
    for (purpose, owner) in [("jwt", "anna"), ("totp", "bert"), ("totpa", "nna")] {
        let refused = site.vault.get(id, purpose, owner).await;
        assert!(matches!(refused, Err(Error::Broken(_))), "{refused:?}");
        assert!(matches!(
            site.vault.replace(id, purpose, owner, b"x").await,
            Err(Error::Broken(_))
        ));
    }
    assert_eq!(text(&site.vault, id).await, "one");
}

/// Who can write the database but has no key could otherwise give one user the second factor of another.
#[tokio::test]
async fn rows_that_were_swapped_do_not_open() {
    let site = Site::new().await;
    let one = site.vault.put("totp", "anna", b"one").await.expect("put");
    let two = site.vault.put("totp", "anna", b"two").await.expect("put");
    site.execute(&format!(
        "UPDATE secret SET sealed = (SELECT sealed FROM secret o WHERE o.id <> secret.id)
         WHERE id IN ('{one}', '{two}')"
    ))
    .await;
    for id in [one, two] {
        let refused = site.vault.get(id, "totp", "anna").await;
        assert!(
            matches!(refused, Err(Error::Broken(broken)) if broken == id),
            "{refused:?}"
        );
    }
}

#[tokio::test]
async fn a_key_that_came_later_is_found_by_a_running_program() {
    let site = Site::new().await;
    let running = site.another();
    let id = running.put("totp", "anna", b"one").await.expect("put");
    let key = Keyring::generate_into(&site.file()).expect("made");
    // Another program seals under the new key; this one has not looked since.
    site.another()
        .replace(id, "totp", "anna", b"two")
        .await
        .expect("replaced");
    assert!(running.keys().known().ids().all(|known| known != key));
    assert_eq!(text(&running, id).await, "two");
    assert!(running.keys().known().ids().any(|known| known == key));
}

#[tokio::test]
async fn a_secret_under_a_key_that_is_gone_names_both() {
    let site = Site::new().await;
    let id = site.vault.put("totp", "anna", b"one").await.expect("put");
    let key = site.vault.keys().known().ids().next().expect("a key").to_owned();
    std::fs::remove_file(site.file()).expect("removed");
    Keyring::generate_into(&site.file()).expect("made");
    let refused = site.another().get(id, "totp", "anna").await;
    assert!(
        matches!(&refused, Err(Error::UnknownKey { secret, key: named }) if *secret == id && *named == key),
        "{refused:?}"
    );
    let rotated = site
        .another()
        .rotate()
        .await
        .expect("what can't be opened stops nothing");
    assert_eq!((rotated.resealed, rotated.failed.len()), (0, 1));
}

#[tokio::test]
async fn nothing_is_sealed_under_a_retired_key() {
    let site = Site::new().await;
    // A program whose key file is a copy, as a credential is, does not see that keys change.
    let copy = site.folder.path().join("copy");
    std::fs::copy(site.file(), &copy).expect("copied");
    let stale = vault(&site.database, &copy);
    let old = stale.keys().known().ids().next().expect("a key").to_owned();
    let id = stale.put("totp", "anna", b"one").await.expect("put");
    Keyring::generate_into(&site.file()).expect("made");
    assert_eq!(site.vault.rotate().await.expect("rotated").resealed, 1);
    let retired = secret::retire_key(site.database.store(), &old)
        .await
        .expect("asked");
    assert_eq!(retired, secret::Retired::Done);
    for refused in [
        stale.put("totp", "anna", b"two").await.map(drop),
        stale.replace(id, "totp", "anna", b"two").await,
        stale.rotate().await.map(drop),
    ] {
        assert!(
            matches!(&refused, Err(Error::RetiredKey { id }) if *id == old),
            "{refused:?}"
        );
    }
    assert_eq!(text(&site.vault, id).await, "one");
}

/// Each secret counts up. A reader that sees a number smaller than one that was written before it began, or nothing, or
/// something that does not open, has found a secret that the rotation has lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn keys_rotate_under_concurrent_reads_and_writes() {
    const SECRETS: usize = 8;
    const ROTATIONS: usize = 4;
    let site = Site::new().await;
    let mut counted: Vec<(Uuid, Arc<AtomicU64>)> = Vec::new();
    for _ in 0..SECRETS {
        let id = site.vault.put("totp", "anna", b"0").await.expect("put");
        counted.push((id, Arc::default()));
    }
    // Secrets that nobody writes: whatever becomes of them is the rotation's doing.
    let mut quiet = Vec::new();
    for number in 0..210_u32 {
        quiet.push(
            site.vault
                .put("totp", "anna", number.to_string().as_bytes())
                .await
                .expect("put"),
        );
    }
    let done = Arc::new(AtomicBool::new(false));
    let mut tasks = JoinSet::new();
    for (id, written) in &counted {
        // A writer and a reader each, as programs of their own.
        tasks.spawn(count_up(
            site.another(),
            *id,
            Arc::clone(written),
            Arc::clone(&done),
        ));
        tasks.spawn(watch(site.another(), *id, Arc::clone(written), Arc::clone(&done)));
    }
    let mut last = Rotated::default();
    for _ in 0..ROTATIONS {
        let before: u64 = counted
            .iter()
            .map(|(_, written)| written.load(Ordering::SeqCst))
            .sum();
        Keyring::generate_into(&site.file()).expect("made");
        last = site.vault.rotate().await.expect("rotated");
        assert_eq!(last.failed, []);
        assert!(last.resealed >= 210, "{last:?}");
        // Writers go on between two rotations.
        while counted
            .iter()
            .map(|(_, written)| written.load(Ordering::SeqCst))
            .sum::<u64>()
            == before
        {
            tokio::task::yield_now().await;
        }
    }
    done.store(true, Ordering::SeqCst);
    while let Some(ended) = tasks.join_next().await {
        ended.expect("no reader or writer failed");
    }
    let usage = secret::key_use(site.database.store()).await.expect("read");
    assert_eq!(usage.len(), 1, "{usage:?}");
    assert_eq!(usage[0].master_key, last.key);
    // Older keys are needed by nobody any more.
    let old: Vec<String> = site
        .vault
        .keys()
        .known()
        .ids()
        .skip(1)
        .map(ToOwned::to_owned)
        .collect();
    assert_eq!(old.len(), ROTATIONS);
    for key in old {
        Keyring::remove_from(&site.file(), &key).expect("removed");
    }
    let fresh = site.another();
    for (id, written) in &counted {
        assert_eq!(
            text(&fresh, *id).await,
            written.load(Ordering::SeqCst).to_string()
        );
    }
    for (number, id) in quiet.iter().enumerate() {
        assert_eq!(text(&fresh, *id).await, number.to_string());
    }
}

async fn count_up(vault: Vault, id: Uuid, written: Arc<AtomicU64>, done: Arc<AtomicBool>) {
    while !done.load(Ordering::SeqCst) {
        let next = written.load(Ordering::SeqCst) + 1;
        let plain = next.to_string();
        vault
            .replace(id, "totp", "anna", plain.as_bytes())
            .await
            .expect("replaced");
        written.store(next, Ordering::SeqCst);
    }
}

async fn watch(vault: Vault, id: Uuid, written: Arc<AtomicU64>, done: Arc<AtomicBool>) {
    while !done.load(Ordering::SeqCst) {
        let least = written.load(Ordering::SeqCst);
        let seen: u64 = text(&vault, id).await.parse().expect("a number");
        assert!(seen >= least, "{seen} was read after {least} was written");
    }
}

#[tokio::test]
async fn checkpoints_are_signed_by_a_key_that_only_the_vault_can_open() {
    let site = Site::new().await;
    let signer = Signer::find_or_make(&site.vault).await.expect("made");
    let again = Signer::find_or_make(&site.another()).await.expect("found");
    assert_eq!(again.id(), signer.id());
    let context = audit::Context {
        actor: audit::Actor::System {
            name: "test".to_owned(),
        },
        remote: String::new(),
        request_id: String::new(),
    };
    let store = site.database.store();
    audit::record(store, &context, &audit::Entry::done("x"))
        .await
        .expect("recorded");
    let made = audit::checkpoint(store, again.id(), audit::Check::Since(None), |statement| {
        again.sign(statement)
    })
    .await;
    assert!(matches!(made, Ok(audit::Checkpoint::Signed(_))), "{made:?}");
    Keyring::generate_into(&site.file()).expect("made");
    site.vault.rotate().await.expect("rotated");
    let ids = audit::signing_keys(store).await.expect("read");
    let keys = PublicKeys::load(&site.another(), &ids).await.expect("opened");
    let look = async |keys: &PublicKeys| {
        let genuine = |id, statement: &[u8], signature: &[u8]| keys.genuine(id, statement, signature);
        let report = audit::verify(store, &audit::Since::default(), genuine).await;
        report.expect("looked at").findings
    };
    assert_eq!(look(&keys).await, []);
    // A secret of another purpose is no signing key, even when it is one byte for byte.
    let document = site
        .vault
        .get(signer.id(), "audit.checkpoint", "collector")
        .await
        .expect("opened");
    let other = site.vault.put("totp", "anna", &document).await.expect("put");
    site.execute(&format!("UPDATE audit_checkpoint SET key_id = '{other}'"))
        .await;
    let keys = PublicKeys::load(&site.vault, &[other])
        .await
        .expect("nothing to open");
    assert_eq!(
        look(&keys).await,
        [audit::Finding::Forged { checkpoint: 1, id: 1 }]
    );
}

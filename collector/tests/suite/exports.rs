//! Exports that collectors make, over a real database and a real directory.

use crate::cli::configure;
use crate::support::{Site, database, until};
use serde_json::json;
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;
use uuid::Uuid;
use vmscope_link::Authority;
use vmscope_model::access::{Permission, Scope, VIEWER};
use vmscope_store::access::Authority as Right;
use vmscope_store::audit::{Actor, Context};
use vmscope_store::export::job::{self, Job, NewJob, State};
use vmscope_store::grant::{self, NewGrant};
use vmscope_store::testing::Database;
use vmscope_store::user::{self, NewUser};
use vmscope_store::{Flavor, Store};

const VMS: i64 = 1_234;

fn context() -> Context {
    Context {
        actor: Actor::System {
            name: "test".to_owned(),
        },
        remote: String::new(),
        request_id: String::new(),
    }
}

/// A database with many VMs on one host.
async fn fleet() -> Database {
    let database = database(Flavor::Postgres).await;
    let statements = format!(
        "INSERT INTO host (uuid, name) VALUES (gen_random_uuid(), 'alpha');
        INSERT INTO vm (uuid, host_id, name) SELECT gen_random_uuid(), (SELECT id FROM host), 'vm-' || i
        FROM generate_series(1, {VMS}) AS i"
    );
    run(&database, &statements).await;
    database
}

async fn run(database: &Database, statements: &str) {
    let client = database.client().await.expect("a client");
    client.batch_execute(statements).await.expect("done");
}

/// A user who may see everything.
async fn viewer(store: &Store) -> Uuid {
    let new = NewUser {
        name: "ada".to_owned(),
        email: None,
        display_name: String::new(),
        language: "en".to_owned(),
        password_hash: "a hash".to_owned(),
        must_change_password: false,
    };
    let user = user::create(store, &context(), &new).await.expect("a user").id;
    let grant = NewGrant {
        user,
        role: VIEWER,
        scope: Scope::All,
        expires_at: None,
    };
    grant::create(store, &context(), Right::System, &grant)
        .await
        .expect("a grant");
    user
}

/// Asks for all VMs as CSV; by a token with these permissions, if there are any.
async fn ask(store: &Store, user: Uuid, permissions: Option<&[Permission]>) -> Uuid {
    let filter = vmscope_store::vm::Filter::default();
    let spec = json!({ "format": "csv", "list": { "vms": filter } });
    let wanted = NewJob {
        user,
        permissions,
        spec: &spec,
        query: &json!({ "what": "vms", "format": "csv", "query": {} }),
    };
    let made = job::create(store, &context(), &wanted).await.expect("asked");
    made.expect("a job").id
}

async fn get(store: &Store, id: Uuid) -> Job {
    job::get(store, id).await.expect("read").expect("a job")
}

async fn until_state(store: &Store, id: Uuid, state: State) -> Job {
    until(state.name(), async || get(store, id).await.state == state).await;
    get(store, id).await
}

async fn start(database: &Database, name: &str, folder: &Path) -> Site {
    let authority = Authority::create("test").expect("an authority").into();
    let folder = folder.to_owned();
    Site::start_as(name, authority, database.url(), move |config| {
        config.storage.dir = Some(folder);
    })
    .await
}

/// Names of the files of exports, those that are being written too.
fn files(folder: &TempDir) -> Vec<String> {
    let entries = std::fs::read_dir(folder.path().join("exports"))
        .into_iter()
        .flatten();
    let mut names: Vec<String> = entries
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_becomes_a_file_with_every_row() {
    let (database, folder) = (fleet().await, tempfile::tempdir().expect("a folder"));
    let store = database.store();
    let id = ask(store, viewer(store).await, None).await;
    let site = start(&database, "north", folder.path()).await;
    let job = until_state(store, id, State::Done).await;
    assert_eq!((job.rows_done, job.rows_total), (VMS, Some(VMS)));
    let text = std::fs::read_to_string(folder.path().join(job.file.expect("a file"))).expect("text");
    assert_eq!(text.lines().count(), usize::try_from(VMS).expect("few") + 1);
    assert!(
        text.starts_with("id,name,host_id,host_name,state,"),
        "{}",
        &text[..80]
    );
    assert_eq!(job.size_bytes, i64::try_from(text.len()).ok());
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_collectors_make_each_job_once() {
    let (database, folder) = (fleet().await, tempfile::tempdir().expect("a folder"));
    let store = database.store();
    let user = viewer(store).await;
    let (north, south) = (
        start(&database, "north", folder.path()).await,
        start(&database, "south", folder.path()).await,
    );
    let mut asked = Vec::new();
    for _ in 0..8 {
        asked.push(ask(store, user, None).await);
    }
    let mut names = Vec::new();
    for id in asked {
        until_state(store, id, State::Done).await;
        names.push(format!("{id}-1.csv"));
    }
    names.sort();
    assert_eq!(files(&folder), names, "one attempt of each");
    north.stop().await;
    south.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_a_collector_that_died_is_begun_again_and_its_remains_are_removed() {
    let (database, folder) = (fleet().await, tempfile::tempdir().expect("a folder"));
    let store = database.store();
    let id = ask(store, viewer(store).await, None).await;
    let dead = job::claim(store, "dead").await.expect("asked").expect("a job");
    std::fs::create_dir(folder.path().join("exports")).expect("a folder");
    let remains = folder.path().join(format!("exports/.{id}-1.csv.part"));
    std::fs::write(remains, "id,na").expect("written");
    std::fs::write(folder.path().join("exports/notes.txt"), "not ours").expect("written");
    run(
        &database,
        "UPDATE export_job SET leased_until = now() - interval '1 s'",
    )
    .await;
    let site = start(&database, "north", folder.path()).await;
    let job = until_state(store, id, State::Done).await;
    assert_eq!(job.file, Some(format!("exports/{id}-2.csv")));
    assert!(!job::beat(store, &dead, 1, None).await.expect("asked"));
    site.stop().await;
    // The sweep comes at once with each start.
    let site = start(&database, "north", folder.path()).await;
    let kept = [format!("{id}-2.csv"), "notes.txt".to_owned()];
    until("clean folder", async || files(&folder) == kept).await;
    run(
        &database,
        "UPDATE export_job SET expires_at = now() - interval '1 s'",
    )
    .await;
    site.stop().await;
    let site = start(&database, "north", folder.path()).await;
    until("removed file", async || files(&folder) == ["notes.txt"]).await;
    assert_eq!(get(store, id).await.state, State::Removed);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_job_is_cancelled_and_given_back_at_the_stop() {
    let (database, folder) = (fleet().await, tempfile::tempdir().expect("a folder"));
    let store = database.store();
    let user = viewer(store).await;
    // Nobody reads VMs while this is held, so jobs stay where they are.
    let blocker = database.client().await.expect("a client");
    blocker
        .batch_execute("BEGIN; LOCK TABLE vm IN ACCESS EXCLUSIVE MODE")
        .await
        .expect("held");
    let first = ask(store, user, None).await;
    let site = start(&database, "north", folder.path()).await;
    until_state(store, first, State::Running).await;
    job::remove(store, &context(), first).await.expect("cancelled");
    let second = ask(store, user, None).await;
    until_state(store, second, State::Running).await;
    assert_eq!(get(store, first).await.state, State::Cancelled);
    site.stop().await;
    assert_eq!(get(store, second).await.state, State::Queued);
    assert_eq!(files(&folder), Vec::<String>::new());
    blocker.batch_execute("COMMIT").await.expect("let go");
    let site = start(&database, "south", folder.path()).await;
    until_state(store, second, State::Done).await;
    assert_eq!(files(&folder), [format!("{second}-2.csv")]);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rights_are_those_of_the_moment_at_which_a_file_is_made() {
    let (database, folder) = (fleet().await, tempfile::tempdir().expect("a folder"));
    let store = database.store();
    let user = viewer(store).await;
    let host_read = [Permission::known("host.read").expect("a permission")];
    let by_token = ask(store, user, Some(&host_read)).await;
    let site = start(&database, "north", folder.path()).await;
    let job = until_state(store, by_token, State::Failed).await;
    assert_eq!(
        job.error.as_deref(),
        Some("forbidden"),
        "the token may not see VMs"
    );
    run(&database, "DELETE FROM access_grant").await;
    let taken_away = ask(store, user, None).await;
    let job = until_state(store, taken_away, State::Failed).await;
    assert_eq!(job.error.as_deref(), Some("forbidden"));
    assert_eq!(files(&folder), Vec::<String>::new());
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_too_big_or_has_no_place_fails_its_job_alone() {
    let (database, folder) = (fleet().await, tempfile::tempdir().expect("a folder"));
    let store = database.store();
    let user = viewer(store).await;
    let id = ask(store, user, None).await;
    let place = folder.path().to_owned();
    let small = move |config: &mut vmscope_collector::Config| {
        config.storage.dir = Some(place);
        config.exports.file_max_bytes = std::num::NonZeroU64::MIN;
    };
    let site = Site::start_with(database.url(), small).await;
    assert_eq!(
        until_state(store, id, State::Failed).await.error.as_deref(),
        Some("too_big")
    );
    assert_eq!(files(&folder), Vec::<String>::new());
    site.stop().await;
    let id = ask(store, user, None).await;
    let file = folder.path().join("file");
    std::fs::write(&file, "no folder").expect("written");
    let site = start(&database, "north", &file).await;
    assert_eq!(
        until_state(store, id, State::Failed).await.error.as_deref(),
        Some("storage")
    );
    site.ready(200).await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_survives_the_kill_of_the_program_that_makes_it() {
    let (database, folder) = (fleet().await, tempfile::tempdir().expect("a folder"));
    let store = database.store();
    let config = configure(folder.path(), database.url());
    let text = std::fs::read_to_string(&config).expect("text");
    let text = format!(
        "listen = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n{text}[storage]\ndir = \"{}\"\n",
        folder.path().display()
    );
    std::fs::write(&config, text).expect("written");
    let blocker = database.client().await.expect("a client");
    blocker
        .batch_execute("BEGIN; LOCK TABLE vm IN ACCESS EXCLUSIVE MODE")
        .await
        .expect("held");
    let id = ask(store, viewer(store).await, None).await;
    let mut program = Command::new(env!("CARGO_BIN_EXE_vmscope-collector"))
        .args(["run", "--config", &config])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program runs");
    until_state(store, id, State::Running).await;
    program.kill().expect("killed");
    program.wait().expect("it ends");
    blocker.batch_execute("COMMIT").await.expect("let go");
    assert_eq!(get(store, id).await.state, State::Running, "it could say nothing");
    run(
        &database,
        "UPDATE export_job SET leased_until = now() - interval '1 s'",
    )
    .await;
    let site = start(&database, "south", folder.path()).await;
    let job = until_state(store, id, State::Done).await;
    assert_eq!(
        (job.rows_done, job.file),
        (VMS, Some(format!("exports/{id}-2.csv")))
    );
    site.stop().await;
}

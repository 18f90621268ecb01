//! Lists of any length, and jobs that make files of them.

use crate::people::{context, person};
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;
use uuid::Uuid;
use vmscope_model::access::Reach;
use vmscope_store::export::job::{self, MAX_OPEN, NewJob, Outcome, State};
use vmscope_store::export::{self, BATCH};
use vmscope_store::testing::Database;
use vmscope_store::user::User;
use vmscope_store::{Order, Paging, Store, audit, on_both_flavors, vm};

/// More than two batches.
const VMS: i64 = 2 * BATCH + 7;

/// One host with many VMs, of which every tenth is shut off.
async fn fleet(database: &Database) {
    let statements = format!(
        "INSERT INTO host (uuid, name) VALUES (gen_random_uuid(), 'alpha');
        INSERT INTO vm (uuid, host_id, name, state, last_seen_at)
        SELECT gen_random_uuid(), (SELECT id FROM host), 'vm-' || i % 100 || '-' || i, CASE WHEN i % 10 = 0 THEN 5 ELSE 1 END, now()
        FROM generate_series(1, {VMS}) AS i"
    );
    database
        .client()
        .await
        .unwrap()
        .batch_execute(&statements)
        .await
        .unwrap();
}

/// A filter's VMs by the pages of its list.
async fn on_pages(store: &Store, filter: &vm::Filter) -> Vec<vm::Vm> {
    let mut all = Vec::new();
    for page in 1.. {
        let filter = vm::Filter {
            paging: Paging { page, page_size: 500 },
            ..filter.clone()
        };
        let found = vm::list(store, &filter).await.unwrap();
        all.extend(found.items);
        if all.len() == usize::try_from(found.total).unwrap() {
            break;
        }
    }
    all
}

async fn job(store: &Store, user: &User) -> job::Job {
    let wanted = NewJob {
        user: user.id,
        permissions: None,
        spec: &json!({"format": "csv"}),
        query: &json!({"what": "vms"}),
    };
    job::create(store, &context(), &wanted).await.unwrap().unwrap()
}

/// Lets the lease of every job run out.
async fn expire_leases(database: &Database) {
    let statement =
        "UPDATE export_job SET leased_until = now() - interval '1 s' WHERE leased_until IS NOT NULL";
    database
        .client()
        .await
        .unwrap()
        .batch_execute(statement)
        .await
        .unwrap();
}

fn done(file: &str) -> Outcome {
    Outcome::Done {
        file: file.to_owned(),
        size_bytes: 10,
        rows: 3,
        keep: Duration::from_hours(1),
    }
}

async fn state(store: &Store, id: Uuid) -> State {
    job::get(store, id).await.unwrap().unwrap().state
}

on_both_flavors! {
    async fn a_cursor_gives_what_the_pages_of_a_list_give(database: Database) {
        fleet(&database).await;
        let store = database.store();
        let filters = [
            vm::Filter::default(),
            vm::Filter { search: "vm-1".to_owned(), order: vec![Order { by: vm::Sort::LastSampleAt, descending: true }], ..Default::default() },
            vm::Filter { state: Some(vm::State::Reported(5)), ..Default::default() },
            vm::Filter { reach: Reach::Nothing, ..Default::default() },
        ];
        for filter in filters {
            let mut cursor = export::vms(store, &filter).await.unwrap();
            let count = cursor.count().await.unwrap();
            let mut rows = Vec::new();
            loop {
                let batch = cursor.next().await.unwrap();
                assert!(batch.len() <= usize::try_from(BATCH).unwrap());
                if batch.is_empty() {
                    break;
                }
                rows.extend(batch);
            }
            assert_eq!(i64::try_from(rows.len()).unwrap(), count);
            let listed: Vec<_> = on_pages(store, &filter).await.into_iter().map(|vm| (vm.id, vm.name)).collect();
            let given: Vec<_> = rows.into_iter().map(|vm| (vm.id, vm.name)).collect();
            assert_eq!(given, listed);
        }
    }

    async fn a_cursor_shows_one_moment(database: Database) {
        fleet(&database).await;
        let mut cursor = export::vms(database.store(), &vm::Filter::default()).await.unwrap();
        let mut found: BTreeSet<String> = cursor.next().await.unwrap().into_iter().map(|vm| vm.name).collect();
        let statements = "DELETE FROM vm WHERE name LIKE 'vm-9%'; UPDATE vm SET name = 'zzz' || name";
        database.client().await.unwrap().batch_execute(statements).await.unwrap();
        loop {
            let batch = cursor.next().await.unwrap();
            if batch.is_empty() {
                break;
            }
            found.extend(batch.into_iter().map(|vm| vm.name));
        }
        assert_eq!(i64::try_from(found.len()).unwrap(), VMS);
        assert!(found.iter().all(|name| name.starts_with("vm-")));
    }

    async fn a_job_is_with_one_collector(database: Database) {
        let store = database.store();
        let ada = person(store, "ada").await;
        let made = job(store, &ada).await;
        assert_eq!((made.state, made.user_name.as_str(), &made.query), (State::Queued, "ada", &json!({"what": "vms"})));
        let claims = futures_util::future::join_all((0..6).map(|_| job::claim(store, "north"))).await;
        let claims: Vec<_> = claims.into_iter().filter_map(Result::unwrap).collect();
        assert_eq!(claims.len(), 1);
        assert_eq!((claims[0].id, claims[0].attempt, claims[0].is_enabled), (made.id, 1, true));
        assert_eq!(claims[0].spec, json!({"format": "csv"}));
        assert!(job::beat(store, &claims[0], 2, Some(7)).await.unwrap());
        let running = job::get(store, made.id).await.unwrap().unwrap();
        assert_eq!((running.state, running.rows_done, running.rows_total), (State::Running, 2, Some(7)));
        assert_eq!(job::claim(store, "south").await.unwrap(), None);
    }

    async fn a_job_of_a_collector_that_died_is_another_ones(database: Database) {
        let store = database.store();
        let ada = person(store, "ada").await;
        let made = job(store, &ada).await;
        let dead = job::claim(store, "north").await.unwrap().unwrap();
        expire_leases(&database).await;
        let heir = job::claim(store, "south").await.unwrap().unwrap();
        assert_eq!((heir.id, heir.attempt), (made.id, 2));
        assert!(!job::beat(store, &dead, 9, None).await.unwrap(), "it was frozen, and is not asked any more");
        assert!(!job::finish(store, &dead, &done("exports/1")).await.unwrap());
        assert!(job::finish(store, &heir, &done("exports/2")).await.unwrap());
        let job = job::get(store, made.id).await.unwrap().unwrap();
        assert_eq!((job.state, job.file.as_deref(), job.size_bytes), (State::Done, Some("exports/2"), Some(10)));
        assert_eq!((job.rows_done, job.rows_total), (3, Some(3)));
        assert!(job.expires_at > job.finished_at);
        assert_eq!(job::with_files(store).await.unwrap(), [(made.id, 2)]);
    }

    async fn a_job_that_no_collector_survives_is_given_up(database: Database) {
        let store = database.store();
        let ada = person(store, "ada").await;
        let made = job(store, &ada).await;
        for attempt in 1..=10 {
            assert_eq!(job::claim(store, "north").await.unwrap().unwrap().attempt, attempt);
            expire_leases(&database).await;
        }
        assert_eq!(job::claim(store, "north").await.unwrap(), None);
        let job = job::get(store, made.id).await.unwrap().unwrap();
        assert_eq!((job.state, job.error.as_deref()), (State::Failed, Some("gave_up")));
    }

    async fn a_collector_that_stops_gives_its_job_back(database: Database) {
        let store = database.store();
        let ada = person(store, "ada").await;
        job(store, &ada).await;
        let first = job::claim(store, "north").await.unwrap().unwrap();
        assert!(job::finish(store, &first, &Outcome::Released).await.unwrap());
        let second = job::claim(store, "south").await.unwrap().unwrap();
        assert_eq!((second.id, second.attempt), (first.id, 2));
        assert!(job::finish(store, &second, &Outcome::Failed { error: "too_big" }).await.unwrap());
        let failed = job::get(store, second.id).await.unwrap().unwrap();
        assert_eq!((failed.state, failed.error.as_deref(), failed.expires_at), (State::Failed, Some("too_big"), None));
    }

    async fn a_job_is_cancelled_and_a_file_given_up(database: Database) {
        let store = database.store();
        let ada = person(store, "ada").await;
        let (queued, running) = (job(store, &ada).await.id, job(store, &ada).await.id);
        job::remove(store, &context(), queued).await.unwrap();
        let claim = job::claim(store, "north").await.unwrap().unwrap();
        assert_eq!(claim.id, running, "a cancelled one is not taken up");
        job::remove(store, &context(), running).await.unwrap();
        assert!(!job::beat(store, &claim, 1, None).await.unwrap());
        assert!(!job::finish(store, &claim, &done("exports/1")).await.unwrap());
        assert_eq!((state(store, queued).await, state(store, running).await), (State::Cancelled, State::Cancelled));
        let third = job(store, &ada).await.id;
        let claim = job::claim(store, "north").await.unwrap().unwrap();
        assert!(job::finish(store, &claim, &done("exports/3")).await.unwrap());
        job::remove(store, &context(), third).await.unwrap();
        job::remove(store, &context(), third).await.unwrap();
        assert_eq!(state(store, third).await, State::Removed);
        assert_eq!(job::with_files(store).await.unwrap(), []);
        let filter = audit::Filter { action: Some("export.".to_owned()), limit: 50, ..Default::default() };
        let entries = audit::list(store, &filter).await.unwrap();
        let actions: Vec<&str> = entries.iter().map(|entry| entry.action.as_str()).rev().collect();
        assert_eq!(actions, ["export.create", "export.create", "export.remove", "export.remove", "export.create", "export.remove"]);
    }

    async fn files_expire_and_jobs_are_forgotten(database: Database) {
        let store = database.store();
        let ada = person(store, "ada").await;
        let made = job(store, &ada).await;
        let claim = job::claim(store, "north").await.unwrap().unwrap();
        assert!(job::finish(store, &claim, &done("exports/1")).await.unwrap());
        assert_eq!(job::expire(store).await.unwrap(), (0, 0));
        let client = database.client().await.unwrap();
        client.batch_execute("UPDATE export_job SET expires_at = now() - interval '1 s'").await.unwrap();
        assert_eq!(job::expire(store).await.unwrap(), (1, 0));
        assert_eq!(state(store, made.id).await, State::Removed);
        client.batch_execute("UPDATE export_job SET finished_at = now() - interval '31 days'").await.unwrap();
        assert_eq!(job::expire(store).await.unwrap(), (0, 1));
        assert_eq!(job::get(store, made.id).await.unwrap(), None);
    }

    async fn a_person_has_a_few_unfinished_jobs_and_his_own_list(database: Database) {
        let store = database.store();
        let (ada, bert) = (person(store, "ada").await, person(store, "bert").await);
        for _ in 0..MAX_OPEN {
            job(store, &ada).await;
        }
        let (spec, query) = (json!({}), json!({}));
        let one_more = NewJob { user: ada.id, permissions: None, spec: &spec, query: &query };
        assert_eq!(job::create(store, &context(), &one_more).await.unwrap(), None);
        let berts = job(store, &bert).await;
        let paging = Paging::default();
        assert_eq!(job::list(store, Some(ada.id), paging).await.unwrap().total, MAX_OPEN);
        assert_eq!(job::list(store, Some(bert.id), paging).await.unwrap().items, [berts]);
        assert_eq!(job::list(store, None, paging).await.unwrap().total, MAX_OPEN + 1);
        let claim = job::claim(store, "north").await.unwrap().unwrap();
        job::finish(store, &claim, &done("exports/1")).await.unwrap();
        assert!(job::create(store, &context(), &one_more).await.unwrap().is_some());
    }
}

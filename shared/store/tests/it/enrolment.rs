//! Tokens, certificates, revocation and removal.

use crate::fixture::{batch, count, host_uuid, known, tick};
use jiff::Timestamp;
use std::time::{Duration, SystemTime};
use vmscope_model::{HostId, Kind, catalogue};
use vmscope_store::certificate::{self, NewCertificate, Shown};
use vmscope_store::enrolment::{self, Attempt, Denied, Failure, NewToken};
use vmscope_store::ingest::Writer;
use vmscope_store::revocation::{self, Removal, Watch};
use vmscope_store::testing::Database;
use vmscope_store::{Store, on_both_flavors};

const SECRET: [u8; 32] = [1; 32];
const HOUR: Duration = Duration::from_hours(1);

async fn token(store: &Store, id: &str, host: Option<HostId>, uses_allowed: i32) {
    let token = NewToken {
        id: id.to_owned(),
        secret_sha256: SECRET,
        label: "rack=r7".to_owned(),
        host,
        uses_allowed,
        ttl: HOUR,
    };
    enrolment::create_token(store, &token).await.unwrap();
}

fn certificate(number: u8, key: u8) -> NewCertificate {
    NewCertificate {
        sha256: [number; 32],
        key_sha256: [key; 32],
        root_sha256: [9; 32],
        expires_at: SystemTime::now() + HOUR,
    }
}

/// Enrols with a certificate `number` for a key of the same number.
async fn enrol(store: &Store, token_id: &str, host: HostId, number: u8) -> Result<(), Denied> {
    enrol_key(store, token_id, host, number, number).await
}

async fn enrol_key(store: &Store, token_id: &str, host: HostId, number: u8, key: u8) -> Result<(), Denied> {
    let attempt = Attempt {
        token_id,
        secret_sha256: SECRET,
        host,
    };
    match enrolment::enrol(store, &attempt, || Ok::<_, ()>(certificate(number, key))).await {
        Ok(()) => Ok(()),
        Err(Failure::Denied(denied)) => Err(denied),
        Err(other) => panic!("{other:?}"),
    }
}

async fn renew(store: &Store, host: HostId, from: u8, to: u8) -> bool {
    let shown = Shown {
        host,
        sha256: [from; 32],
    };
    certificate::renew(store, shown, || Ok::<_, ()>(certificate(to, to)))
        .await
        .is_ok()
}

async fn admitted(store: &Store, host: HostId, number: u8) -> bool {
    let shown = Shown {
        host,
        sha256: [number; 32],
    };
    certificate::admitted(store, &[shown]).await.unwrap()[0]
}

on_both_flavors! {
    async fn a_token_is_good_for_its_uses_and_a_lost_answer_costs_none(database: Database) {
        let store = database.store();
        token(store, "fleet", None, 2).await;
        assert_eq!(enrol(store, "fleet", host_uuid(1), 1).await, Ok(()));
        assert_eq!(enrol_key(store, "fleet", host_uuid(1), 11, 1).await, Ok(()), "asked again with the same key");
        assert_eq!(enrol(store, "fleet", host_uuid(2), 2).await, Ok(()));
        assert_eq!(enrol(store, "fleet", host_uuid(3), 3).await, Err(Denied::UsedUpToken));
        assert_eq!(enrol_key(store, "fleet", host_uuid(2), 12, 2).await, Ok(()));
        let listed = enrolment::list_tokens(store).await.unwrap();
        assert_eq!((listed[0].uses, listed[0].uses_allowed, listed[0].expired), (2, 2, false));
        for number in [1, 11] {
            assert!(admitted(store, host_uuid(1), number).await);
        }
    }

    async fn tokens_are_refused_for_their_own_reasons(database: Database) {
        let store = database.store();
        let host = host_uuid(1);
        assert_eq!(enrol(store, "none", host, 1).await, Err(Denied::UnknownToken));
        token(store, "good", None, 1).await;
        let attempt = Attempt { token_id: "good", secret_sha256: [2; 32], host };
        let guessed = enrolment::enrol(store, &attempt, || Ok::<_, ()>(certificate(1, 1))).await;
        assert!(matches!(guessed, Err(Failure::Denied(Denied::UnknownToken))), "{guessed:?}");
        let attempt = Attempt { secret_sha256: SECRET, ..attempt };
        let unsigned = enrolment::enrol(store, &attempt, || Err(7)).await;
        assert!(matches!(unsigned, Err(Failure::Unsigned(7))));
        token(store, "bound", Some(host_uuid(2)), 1).await;
        assert_eq!(enrol(store, "bound", host, 1).await, Err(Denied::HostMismatchToken));
        assert!(enrolment::revoke_token(store, "bound").await.unwrap());
        assert!(!enrolment::revoke_token(store, "none").await.unwrap());
        assert_eq!(enrol(store, "bound", host_uuid(2), 1).await, Err(Denied::RevokedToken));
        let client = database.client().await.unwrap();
        client.batch_execute("UPDATE enrolment_token SET expires_at = now() WHERE id = 'good'").await.unwrap();
        assert_eq!(enrol(store, "good", host, 1).await, Err(Denied::ExpiredToken));
        assert_eq!(count(&database, "certificate").await, 0);
        assert_eq!(count(&database, "enrolment_token WHERE uses > 0").await, 0);
    }

    async fn a_token_for_all_takes_no_host_that_is_known(database: Database) {
        let store = database.store();
        token(store, "fleet", None, 9).await;
        known(store, 1, 0).await;
        assert_eq!(enrol(store, "fleet", host_uuid(1), 1).await, Err(Denied::HostKnown));
        assert_eq!(enrol(store, "fleet", host_uuid(2), 2).await, Ok(()));
        assert_eq!(enrol(store, "fleet", host_uuid(2), 3).await, Err(Denied::HostKnown));
        token(store, "bound", Some(host_uuid(2)), 1).await;
        assert_eq!(enrol(store, "bound", host_uuid(2), 4).await, Ok(()));
        assert!(admitted(store, host_uuid(2), 4).await);
        assert!(!admitted(store, host_uuid(2), 2).await, "the new enrolment replaces the old one");
        assert!(!admitted(store, host_uuid(2), 77).await, "and certificates that were made by hand");
        assert!(!renew(store, host_uuid(2), 2, 5).await);
        assert!(renew(store, host_uuid(2), 4, 6).await);
    }

    async fn a_revoked_host_comes_back_by_one_explicit_enrolment(database: Database) {
        let store = database.store();
        let host = host_uuid(1);
        token(store, "fleet", None, 9).await;
        token(store, "early", Some(host), 9).await;
        assert!(admitted(store, host, 77).await, "made by hand and never revoked");
        assert_eq!(enrol(store, "fleet", host, 1).await, Ok(()));
        assert!(renew(store, host, 1, 2).await);
        assert!(revocation::revoke_host(store, host, "stolen").await.unwrap());
        for number in [1, 2, 77] {
            assert!(!admitted(store, host, number).await, "{number}");
        }
        assert!(!renew(store, host, 2, 3).await);
        assert_eq!(enrol_key(store, "fleet", host, 4, 1).await, Err(Denied::HostRevoked));
        assert_eq!(enrol(store, "early", host, 4).await, Err(Denied::RevokedToken), "made before the revocation");
        token(store, "again", Some(host), 1).await;
        assert_eq!(enrol(store, "again", host, 5).await, Ok(()));
        assert!(admitted(store, host, 5).await);
        for number in [1, 2, 77] {
            assert!(!admitted(store, host, number).await, "{number} is from before");
        }
        assert!(admitted(store, host_uuid(2), 77).await, "another host");
        let listed = certificate::list_hosts(store, false).await.unwrap();
        assert_eq!((listed.len(), listed[0].revoked_at), (1, None));
        assert!(listed[0].expires_at.is_some_and(|at| at > Timestamp::now()));
    }

    async fn a_removed_host_leaves_nothing_but_its_revocation(database: Database) {
        let store = database.store();
        let (host, other) = (host_uuid(1), host_uuid(2));
        let (host_id, vm_ids) = known(store, 1, 2).await;
        known(store, 2, 0).await;
        let cell: &[(usize, i64)] = &[(catalogue::vm::CPU_TIME_NS, 1)];
        let row = |time_us| tick(time_us, Kind::Vm, &[(vm_ids[0], cell)]);
        let mut writer = Writer::connect(database.url()).await.unwrap();
        let now_us = Timestamp::now().as_microsecond();
        writer.commit(&[batch(host_id, 1, vec![(1, row(now_us))])]).await.unwrap();
        assert_eq!(revocation::remove_host(store, host).await.unwrap(), Removal::Reporting);
        assert!(admitted(store, host, 1).await);
        let client = database.client().await.unwrap();
        let ages = "UPDATE ingest_progress SET last_tick_at = last_tick_at - interval '1 minute'";
        client.batch_execute(ages).await.unwrap();
        assert_eq!(revocation::remove_host(store, host).await.unwrap(), Removal::Removed);
        for table in ["vm", "device", "ingest_progress"] {
            assert_eq!(count(&database, table).await, 0, "{table}");
        }
        assert_eq!(count(&database, "host").await, 1);
        assert_eq!(count(&database, "vm_sample").await, 1, "retention takes the samples");
        assert!(!admitted(store, host, 1).await && admitted(store, other, 1).await);
        assert_eq!(certificate::list_hosts(store, false).await.unwrap().len(), 1);
        let all = certificate::list_hosts(store, true).await.unwrap();
        assert!(all.iter().any(|listed| listed.host == host && listed.removed_at.is_some()));
        assert_eq!(revocation::remove_host(store, host_uuid(3)).await.unwrap(), Removal::Unknown);
    }

    /// What refers to a host or a VM has to go with it, or the host could not be removed.
    async fn everything_of_a_host_goes_with_it(database: Database) {
        let stays = "pg_constraint WHERE contype = 'f' AND confdeltype <> 'c' AND confrelid IN ('host'::regclass, 'vm'::regclass)";
        let client = database.client().await.unwrap();
        let rows = client.query(&format!("SELECT conname::text FROM {stays}"), &[]).await.unwrap();
        let names: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        assert!(names.is_empty(), "without ON DELETE CASCADE: {names:?}");
    }

    async fn a_watch_hears_of_a_revocation_and_of_the_end_of_its_connection(database: Database) {
        let store = database.store();
        let mut watch = Watch::open(store).await.unwrap();
        revocation::revoke_host(store, host_uuid(1), "").await.unwrap();
        assert!(watch.changed().await);
        database.cut_connections().await.unwrap();
        assert!(!watch.changed().await);
    }

    async fn what_ran_out_long_ago_is_forgotten(database: Database) {
        let store = database.store();
        token(store, "fleet", None, 9).await;
        enrol(store, "fleet", host_uuid(1), 1).await.unwrap();
        assert_eq!(enrolment::forget_expired(store, HOUR).await.unwrap(), 0);
        let client = database.client().await.unwrap();
        let ages = "UPDATE certificate SET expires_at = now() - interval '2 hours';
            UPDATE enrolment_token SET expires_at = now() - interval '2 hours'";
        client.batch_execute(ages).await.unwrap();
        assert_eq!(enrolment::forget_expired(store, HOUR).await.unwrap(), 2);
    }
}

/// However they are interleaved, no certificate that was recorded before a revocation outlives it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn renewals_and_a_revocation_at_once_leave_no_certificate_alive() {
    let database = Database::create(vmscope_store::Flavor::Postgres).await.unwrap();
    let store = database.store();
    token(store, "fleet", None, 9).await;
    let host = host_uuid(1);
    enrol(store, "fleet", host, 1).await.unwrap();
    let renewing: Vec<_> = (100..140)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(async move { renew(&store, host, 1, number).await })
        })
        .collect();
    revocation::revoke_host(store, host, "").await.unwrap();
    for renewal in renewing {
        renewal.await.unwrap();
    }
    token(store, "again", Some(host), 1).await;
    enrol(store, "again", host, 2).await.unwrap();
    for number in (100..140).chain([1]) {
        assert!(!admitted(store, host, number).await, "{number}");
    }
    assert!(admitted(store, host, 2).await);
}

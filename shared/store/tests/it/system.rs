//! What the health page counts.

use crate::fixture::{batch, host_uuid, known, opening, tick};
use jiff::Timestamp;
use vmscope_model::Kind;
use vmscope_store::collector::{self, Introduction};
use vmscope_store::ingest::Writer;
use vmscope_store::session::{self, Opening};
use vmscope_store::system::{self, Agents};
use vmscope_store::testing::Database;
use vmscope_store::{Flavor, on_both_flavors};

async fn introduce(database: &Database, name: &str) {
    let introduction = Introduction {
        name: name.to_owned(),
        version: "1.2.3".to_owned(),
        address: "192.0.2.1:8785".to_owned(),
        started_at: Timestamp::now(),
        writers: 2,
    };
    collector::introduce(database.store(), &introduction)
        .await
        .unwrap();
}

/// Stores one sample of a host, `ago_s` seconds old by the host's own clock.
async fn sample(database: &Database, host_id: i32, fence: i64, ago_s: i64) {
    let time_us = Timestamp::now().as_microsecond() - ago_s * 1_000_000;
    let mut batch = batch(host_id, 1, vec![(1, tick(time_us, Kind::Host, &[]))]);
    batch.fence = fence;
    let mut writer = Writer::connect(database.url()).await.unwrap();
    writer.commit(&[batch]).await.unwrap();
}

fn agents(version: &str, [total, connected, behind, skewed]: [i64; 4]) -> Agents {
    Agents {
        version: version.to_owned(),
        total,
        connected,
        behind,
        skewed,
        revoked: 0,
        expiring: 0,
    }
}

on_both_flavors! {
    async fn agents_are_counted_by_version(database: Database) {
        let store = database.store();
        introduce(&database, "north").await;
        let mut ids = Vec::new();
        for host in 1..=5 {
            ids.push(known(store, host, 0).await.0);
        }
        // The first is fresh, the second an hour behind, the third has no sample, the fourth has ended.
        sample(&database, ids[0], 1, 0).await;
        sample(&database, ids[1], 1, 3600).await;
        assert!(session::end(store, ids[3], 1).await.unwrap());
        // The fifth is fresh, though its clock is an hour late; its version differs, and its collector is unknown later.
        let late = Opening {
            clock_offset_us: -3_600_000_000,
            agent_version: "vmscope-agent 2.0.0".to_owned(),
            ..opening(ids[4], "north")
        };
        let fence = session::begin(store, &late).await.unwrap();
        sample(&database, ids[4], fence, 3600).await;
        assert_eq!(system::agents(store).await.unwrap(), [
            agents("vmscope-agent 1.2.3", [4, 3, 2, 0]),
            agents("vmscope-agent 2.0.0", [1, 1, 0, 1]),
        ]);

        let client = database.client().await.unwrap();
        client.batch_execute("UPDATE collector SET heartbeat_at = now() - interval '16 s'").await.unwrap();
        assert_eq!(system::agents(store).await.unwrap(), [
            agents("vmscope-agent 1.2.3", [4, 0, 0, 0]),
            agents("vmscope-agent 2.0.0", [1, 0, 0, 1]),
        ]);
    }

    async fn agents_that_are_revoked_or_late_to_renew_are_counted(database: Database) {
        let store = database.store();
        for host in 1..=3 {
            known(store, host, 0).await;
        }
        let client = database.client().await.unwrap();
        // One is past five sixths of its life, one has renewed since, one is revoked with its certificate.
        let certificates = "INSERT INTO certificate (sha256, host_uuid, key_sha256, root_sha256, issued_at, expires_at, revoked_at)
            SELECT decode(md5(n::text), 'hex'), uuid, '', '', now() + i * interval '1 d', now() + e * interval '1 d', r
            FROM (VALUES (1, 1, -26, 4, NULL), (2, 2, -29, 1, NULL), (3, 2, -9, 21, NULL), (4, 3, -29, 1, now())) v (n, host, i, e, r)
            JOIN host ON host.id = v.host";
        client.batch_execute(certificates).await.unwrap();
        let revoked = "INSERT INTO host_revocation (host_uuid) SELECT uuid FROM host WHERE id = 3";
        client.batch_execute(revoked).await.unwrap();
        let counted = system::agents(store).await.unwrap();
        assert_eq!((counted[0].expiring, counted[0].revoked), (1, 1));
        let hosts = [host_uuid(3), host_uuid(2), host_uuid(1), host_uuid(77)];
        let found = system::admissions(store, &hosts).await.unwrap();
        let seen: Vec<_> = found.iter().map(|one| (one.expires_at.is_some(), one.expiring, one.revoked)).collect();
        assert_eq!(seen, [(false, false, true), (true, false, false), (true, true, false), (false, false, false)]);
    }

    async fn the_database_says_what_it_is_and_how_it_grew(database: Database) {
        let new = system::database(database.store()).await.unwrap();
        assert_eq!((new.newest, new.oldest), (None, None));
        assert!(new.schema >= 6 && !new.server.is_empty());
        let client = database.client().await.unwrap();
        let timescale = client.query("SELECT FROM pg_extension WHERE extname = 'timescaledb'", &[]).await.unwrap();
        assert_eq!(new.flavor == Flavor::Timescale, !timescale.is_empty());
        let sizes = "INSERT INTO database_size (at, bytes) VALUES (now() - interval '8 days', 1),
            (now() - interval '6 days', 2), (now() - interval '1 day', 3), (now(), 4)";
        client.batch_execute(sizes).await.unwrap();
        let grown = system::database(database.store()).await.unwrap();
        assert_eq!(grown.newest.map(|size| size.bytes), Some(4));
        assert_eq!(grown.oldest.map(|size| size.bytes), Some(2));
    }
}

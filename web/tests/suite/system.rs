//! The health of the installation over a real database and real HTTP.

use crate::fleet::{self, HOST};
use crate::support::Server;
use jiff::Timestamp;
use serde_json::json;
use vmscope_store::collector::{self, Activity, Introduction, Pulse};
use vmscope_store::{Store, session};

fn introduction(name: &str) -> Introduction {
    Introduction {
        name: name.to_owned(),
        version: "1.2.3".to_owned(),
        address: "192.0.2.1:8785".to_owned(),
        started_at: Timestamp::from_second(1_800_000_000).expect("a time"),
        writers: 2,
    }
}

/// North lives and works; its retention failed.
async fn collect(store: &Store) {
    let north = introduction("north");
    let pulse = Pulse {
        sessions: 1,
        rows_in_flight: 40,
        queue_frames: 3,
        rows_total: 1_000_000,
        rows_per_s: 250.5,
        commit_mean_ms: None,
        commit_max_ms: None,
    };
    assert!(collector::beat(store, &north, &pulse).await.expect("a heartbeat"));
    let retention = Activity {
        collector: "north".to_owned(),
        name: "retention".to_owned(),
        done: false,
        message: "permission denied".to_owned(),
        began_at: north.started_at,
        took_ms: 12,
    };
    collector::record(store, &retention).await.expect("an activity");
}

vmscope_store::on_both_flavors! {
    async fn tells_how_the_installation_is(database: Database) {
        let store = database.store();
        collector::introduce(store, &introduction("north")).await.expect("a collector");
        fleet::write(&database).await;
        collect(store).await;
        let server = Server::over(database.url()).await;
        let system = server.get("/api/v1/system").await.data();
        assert_eq!(system["agents"], json!({
            "total": 1, "connected": 1, "revoked": 0, "disconnected": 0, "behind": 0, "skewed": 0, "expiring": 0,
            "versions": [{"version": "0.1.0", "agents": 1}],
        }));
        let north = &system["collectors"][0];
        assert_eq!((&north["name"], &north["alive"], &north["sessions"]), (&json!("north"), &json!(true), &json!(1)));
        assert_eq!((&north["writers"], &north["queue_frames"], &north["rows_in_flight"]), (&json!(2), &json!(3), &json!(40)));
        assert_eq!((&north["rows_total"], &north["rows_per_s"]), (&json!(1_000_000), &json!(250.5)));
        assert_eq!((&north["commit_mean_ms"], &north["stopped_at"]), (&json!(null), &json!(null)));
        assert!(north["heartbeat_age_s"].as_f64().expect("an age") < 15.0);
        assert_eq!(system["activities"], json!([{
            "collector": "north", "name": "retention", "done": false, "message": "permission denied",
            "began_at": "2027-01-15T08:00:00Z", "took_ms": 12,
        }]));
        let found = &system["database"];
        assert!(["timescale", "postgres"].map(|flavor| json!(flavor)).contains(&found["flavor"]));
        assert!(found["schema"].as_i64().expect("a version") >= 6);
        assert_eq!((&found["bytes"], &found["growth_bytes_per_day"]), (&json!(null), &json!(null)));

        let sizes = "INSERT INTO database_size (at, bytes) VALUES (now() - interval '12 h', 1000), (now(), 6000)";
        database.client().await.expect("a client").batch_execute(sizes).await.expect("sizes");
        let found = server.get("/api/v1/system").await.data()["database"].clone();
        assert_eq!((&found["bytes"], &found["growth_bytes_per_day"]), (&json!(6000), &json!(10_000.0)));
    }

    async fn lists_agents(database: Database) {
        let store = database.store();
        collector::introduce(store, &introduction("north")).await.expect("a collector");
        fleet::write(&database).await;
        let server = Server::over(database.url()).await;
        let list = async |query: &str| server.get(&format!("/api/v1/agents{query}")).await.data();
        let agent = list("?q=alph&connected=true&collector=north&sort=-clock_offset").await["items"][0].clone();
        assert_eq!(agent["host"], json!({"id": HOST.to_string(), "name": "alpha"}));
        assert_eq!((&agent["collector"], &agent["remote"]), (&json!("north"), &json!("192.0.2.7:4711")));
        assert_eq!((&agent["version"], &agent["disconnected_at"]), (&json!("0.1.0"), &json!(null)));
        assert_eq!((&agent["state"], &agent["skewed"], &agent["clock_offset_s"]), (&json!("connected"), &json!(false), &json!(0.0)));
        assert_eq!((&agent["certificate_expires_at"], &agent["expiring"]), (&json!(null), &json!(false)));
        assert!(agent["lag_s"].as_f64().expect("a lag") < 15.0);
        assert_eq!(list("?connected=false").await["total"], json!(0));
        assert_eq!(list("?collector=south").await["items"], json!([]));

        let held = session::get(store, HOST).await.expect("an answer").expect("a session");
        let host_id = vmscope_store::entity::register_host(store, HOST).await.expect("a host");
        assert!(session::end(store, host_id, held.fence).await.expect("an end"));
        let ended = list("?connected=false").await;
        assert_eq!((&ended["total"], &ended["items"][0]["state"]), (&json!(1), &json!("disconnected")));
        assert!(ended["items"][0]["disconnected_at"].is_string());
    }
}

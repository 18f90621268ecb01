//! Why a machine is slow, as different people are told.

use crate::support::{Server, send};
use jiff::Timestamp;
use serde_json::{Value as Json, json};
use uuid::Uuid;
use vmscope_model::access::{Scope, VIEWER};
use vmscope_model::catalogue::{disk, host, vm};
use vmscope_model::{Entity, Fact, HostFacts, HostId, Kind, Owner, Table, Tick, Value, VmFacts, VmId};
use vmscope_store::ingest::{HostBatch, Writer};
use vmscope_store::testing::Database;
use vmscope_store::{entity, session};

const HOST: HostId = HostId(Uuid::from_u128(0xa1));
const SLOW: VmId = VmId(Uuid::from_u128(0xb1));
const LOUD: VmId = VmId(Uuid::from_u128(0xb2));
const NS: i64 = 1_000_000_000;

/// A minute on a host of four cores: one machine waits for a core a fifth of its time, the other one uses two and a half cores.
async fn write(database: &Database) -> Timestamp {
    let store = database.store();
    let host_id = entity::register_host(store, HOST).await.expect("a host");
    let vda = Entity::Disk {
        owner: Owner::Vm(SLOW),
        name: "vda".to_owned(),
    };
    let entities = [Entity::Host, Entity::Vm(SLOW), Entity::Vm(LOUD), vda];
    let ids = entity::resolve(store, host_id, &entities).await.expect("ids");
    let opening = session::Opening {
        host_id,
        collector: "north".to_owned(),
        remote: "192.0.2.7:4711".to_owned(),
        agent_version: "0.1.0".to_owned(),
        clock_offset_us: 0,
    };
    let fence = session::begin(store, &opening).await.expect("a session");
    let now_s = Timestamp::now().as_second();
    let ticks = (1_u64..)
        .zip((0..60).map(|second| tick(&ids, now_s - 60 + second, second)))
        .collect();
    let batch = HostBatch {
        host_id,
        fence,
        epoch: 1,
        ticks,
    };
    let mut writer = Writer::connect(database.url()).await.expect("a writer");
    writer.commit(&[batch]).await.expect("committed");
    Timestamp::from_second(now_s - 60).expect("a time")
}

fn tick(ids: &[i32], time_s: i64, second: i64) -> Tick {
    let table = |kind, rows: &[(i32, &[(usize, i64)])]| {
        let mut table = Table::new(kind);
        for (id, cells) in rows {
            let row = table.push(id.cast_unsigned());
            for &(column, value) in *cells {
                row[column] = Value::new(value);
            }
        }
        table
    };
    let of_host = [
        (host::CPU_COUNT, 4),
        (host::CPU_USER_NS, second * 7 * NS / 2),
        (host::CPU_SYSTEM_NS, second * NS / 4),
        (host::CPU_IDLE_NS, second * NS / 4),
    ];
    let slow = [
        (vm::STATE, 1),
        (vm::VCPU_CURRENT, 2),
        (vm::VCPU_TIME_NS, second * NS),
        (vm::VCPU_DELAY_NS, second * 2 * NS / 5),
        (vm::CPU_TIME_NS, second * NS),
    ];
    let loud = [(vm::STATE, 1), (vm::CPU_TIME_NS, second * 5 * NS / 2)];
    let of_disk = [
        (disk::READ_REQUESTS, second * 10),
        (disk::READ_NS, second * NS / 20),
        (disk::WRITE_REQUESTS, 0),
        (disk::WRITE_NS, 0),
    ];
    let named = |vm, name: &str| {
        Fact::Vm(VmFacts {
            vm,
            name: name.to_owned(),
        })
    };
    let known = HostFacts {
        name: "alpha".to_owned(),
        ..HostFacts::default()
    };
    let facts = vec![Fact::Host(known), named(SLOW, "slow"), named(LOUD, "loud")];
    Tick {
        time_us: time_s * 1_000_000,
        tables: vec![
            table(Kind::Host, &[(ids[0], &of_host)]),
            table(Kind::Vm, &[(ids[1], &slow), (ids[2], &loud)]),
            table(Kind::Disk, &[(ids[3], &of_disk)]),
        ],
        facts: if second == 0 { facts } else { Vec::new() },
        ..Tick::default()
    }
}

fn close(value: &Json, expected: f64) -> bool {
    (value.as_f64().expect("a number") - expected).abs() < 1e-6
}

vmscope_store::on_both_flavors! {
    async fn says_what_dominates_and_the_numbers_beside(database: Database) {
        let from = write(&database).await;
        let server = Server::over(database.url()).await;
        let path = format!("/api/v1/vms/{SLOW}/slow?from={from}");
        let slow = server.get(&path).await.data();
        let shares = &slow["shares"];
        for (name, share) in [("run", 0.5), ("ready", 0.2), ("idle", 0.3)] {
            assert!(close(&shares[name], share), "{slow}");
        }
        assert_eq!((&shares["io_wait"], &slow["state"]), (&json!(null), &json!("running")));
        let vda = &slow["disks"][0];
        assert!(close(&vda["read_latency_s"], 0.005) && close(&vda["iops"], 10.0), "{slow}");
        assert_eq!((&vda["name"], &vda["write_latency_s"]), (&json!("vda"), &json!(null)));
        assert!(close(&slow["host"]["cpu_busy"], 0.9375), "{slow}");
        let neighbour = &slow["host"]["neighbours"][0];
        assert_eq!(neighbour["vm"], json!({"id": LOUD.to_string(), "name": "loud"}));
        assert!(close(&neighbour["cpu_share"], 0.625), "{slow}");
        let verdict = &slow["verdict"];
        assert_eq!(verdict["code"], json!("cpu_contention"));
        assert!(close(&verdict["numbers"]["ready"], 0.2) && close(&verdict["numbers"]["share"], 0.625));
        let bearer = format!("Bearer {}", server.token.as_deref().expect("a token"));
        for (language, words) in [("en", "loud used 62.5 %"), ("zh-CN", "loud 占用了 62.5 %"), ("ja-JP", "loud が 62.5 %")] {
            let headers = [("Accept-Language", language), ("Authorization", bearer.as_str())];
            let answer = send(server.address, "GET", &path, &headers, String::new()).await.data();
            let text = answer["verdict"]["text"].as_str().expect("a text").to_owned();
            assert!(text.contains("20.0 %") && text.contains(words), "{text}");
        }
    }

    async fn neighbours_out_of_reach_are_nameless(database: Database) {
        write(&database).await;
        let server = Server::over(database.url()).await;
        let made = server.post("/api/v1/groups", &json!({"name": "shop"})).await.data();
        let group = made["id"].as_str().expect("an id");
        let members = json!({"add": [SLOW.to_string()]});
        server.send("PUT", &format!("/api/v1/groups/{group}/members"), &members).await.data();
        let scope = Scope::Group(group.parse().expect("a UUID"));
        let (_, token) = server.person(database.store(), "ada", &[(VIEWER, scope)]).await;
        let answer = server.by(&token, "GET", &format!("/api/v1/vms/{SLOW}/slow"), None).await;
        assert!(!answer.body.contains("loud") && !answer.body.contains(&LOUD.to_string()), "{}", answer.body);
        let slow = answer.data();
        assert_eq!(slow["host"]["neighbours"][0]["vm"], json!(null));
        assert!(slow["verdict"]["text"].as_str().expect("a text").contains("Another virtual machine used"));
        assert_eq!(server.by(&token, "GET", &format!("/api/v1/vms/{LOUD}/slow"), None).await.status, 404);
    }

    async fn a_time_without_samples_is_told_as_such(database: Database) {
        write(&database).await;
        let server = Server::over(database.url()).await;
        let path = format!("/api/v1/vms/{SLOW}/slow?from=2026-01-01T00:00:00Z&to=2026-01-01T01:00:00Z");
        let slow = server.get(&path).await.data();
        assert_eq!((&slow["verdict"]["code"], &slow["shares"]["run"]), (&json!("no_data"), &json!(null)));
        for range in ["from=2026-01-01T00:00:00Z&to=2026-03-01T00:00:00Z", "from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z"] {
            let answer = server.get(&format!("/api/v1/vms/{SLOW}/slow?{range}")).await;
            assert_eq!((answer.status, &answer.json()["code"]), (400, &json!(40001)), "{range}");
        }
    }
}

//! Tests of the hub.

use super::*;
use serde_json::{Value as Json, json};
use vmscope_model::catalogue::vm;
use vmscope_model::{Kind, Table, Value, VmId};

const HOST: HostId = HostId(uuid::Uuid::from_u128(1));
const VM: VmId = VmId(uuid::Uuid::from_u128(2));

fn hub() -> Arc<Hub> {
    Arc::new(Hub::new(&mut Registry::default()))
}

fn watching(hub: &Arc<Hub>, entities: &[Reference]) -> Client {
    let client = hub.connect().expect("a place");
    client.watch(entities.iter().copied().collect(), &[]);
    client
}

/// The tick with this number, taken so many milliseconds after 1970.
fn publish_of(hub: &Hub, id: VmId, sequence: u64, column: usize, value: i64) {
    let mut table = Table::new(Kind::Vm);
    table.push(0)[column] = Value::new(value);
    hub.publish(
        HOST,
        Position { epoch: 1, sequence },
        &[Entity::Vm(id)],
        &Tick {
            time_us: 1000 * sequence.cast_signed(),
            tables: vec![table],
            ..Tick::default()
        },
    );
}

fn publish(hub: &Hub, sequence: u64, column: usize, value: i64) {
    publish_of(hub, VM, sequence, column, value);
}

async fn next(client: &Client) -> Vec<Json> {
    let texts = client.next().await;
    let parse = |text: &Utf8Bytes| serde_json::from_str(text).expect("JSON");
    texts.iter().map(parse).collect()
}

#[tokio::test]
async fn merges_what_a_slow_client_has_not_fetched() {
    let hub = hub();
    let client = watching(&hub, &[Reference::Vm(VM)]);
    publish(&hub, 1, vm::MEMORY_USED_BYTES, 100);
    publish(&hub, 2, vm::STATE, 1);
    publish(&hub, 3, vm::MEMORY_USED_BYTES, 300);
    let values = json!({"memory_used_bytes": 300.0, "state": 1.0});
    assert_eq!(
        next(&client).await,
        [json!({"type": "sample", "entity": format!("vm:{VM}"), "time": 3, "values": values})]
    );
    assert_eq!(hub.figures.conflated.get(), 2);
    publish(&hub, 4, vm::STATE, 5);
    assert_eq!(next(&client).await[0]["values"], json!({"state": 5.0}));
}

#[tokio::test]
async fn a_client_that_never_fetches_costs_one_number_an_entity() {
    let hub = hub();
    let client = watching(&hub, &[Reference::Vm(VM), Reference::Host(HOST)]);
    for sequence in 1..=1000 {
        publish(&hub, sequence, vm::STATE, 1);
    }
    let state = hub.state();
    let mailbox = &state.mailboxes[&client.id];
    assert_eq!((mailbox.pending.len(), mailbox.order.len()), (1, 1));
}

#[tokio::test]
async fn a_client_takes_a_part_at_once_and_all_in_turn() {
    let hub = hub();
    let vms: Vec<_> = (10..110).map(|id| VmId(uuid::Uuid::from_u128(id))).collect();
    let all: Vec<_> = vms.iter().copied().map(Reference::Vm).collect();
    let client = watching(&hub, &all);
    for (sequence, id) in (1..).zip(&vms) {
        publish_of(&hub, *id, sequence, vm::STATE, 1);
    }
    let first = next(&client).await;
    for (sequence, id) in (200..).zip(&vms) {
        publish_of(&hub, *id, sequence, vm::STATE, 3);
    }
    let second = next(&client).await;
    assert_eq!((first.len(), second.len()), (TAKEN_AT_ONCE, TAKEN_AT_ONCE));
    let entities = |messages: &[Json]| -> Vec<String> {
        messages
            .iter()
            .map(|one| one["entity"].as_str().expect("a text").to_owned())
            .collect()
    };
    assert_eq!(entities(&first)[0], format!("vm:{}", vms[0]));
    assert_eq!(
        entities(&second)[0],
        format!("vm:{}", vms[TAKEN_AT_ONCE]),
        "the oldest news first"
    );
}

#[tokio::test]
async fn delivers_nothing_that_is_not_watched() {
    let hub = hub();
    let (client, other) = (
        watching(&hub, &[Reference::Host(HOST)]),
        watching(&hub, &[Reference::Host(HOST)]),
    );
    client.watch(HashSet::from([Reference::Vm(VM)]), &[]);
    publish(&hub, 1, vm::STATE, 1);
    assert_eq!(next(&client).await[0]["entity"], format!("vm:{VM}"));
    assert!(hub.state().mailboxes[&other.id].pending.is_empty());
    assert_eq!(client.watched(), HashSet::from([Reference::Vm(VM)]));
}

#[tokio::test]
async fn a_snapshot_is_what_is_known_and_samples_go_on_from_there() {
    let hub = hub();
    publish(&hub, 1, vm::MEMORY_USED_BYTES, 100);
    let client = watching(&hub, &[Reference::Vm(VM)]);
    publish(&hub, 2, vm::STATE, 1);
    let snapshot = client.watch(client.watched(), &[Reference::Vm(VM), Reference::Host(HOST)]);
    assert_eq!(snapshot.len(), 1, "nothing is known of the host");
    assert_eq!((snapshot[0].time, snapshot[0].values.0.len()), (2, 2));
    publish(&hub, 3, vm::STATE, 5);
    let samples = next(&client).await;
    assert_eq!(
        (&samples[0]["time"], &samples[0]["values"]),
        (&json!(3), &json!({"state": 5.0}))
    );
}

#[test]
fn knows_of_what_it_need_not_ask_the_database() {
    let hub = hub();
    publish(&hub, 1, vm::STATE, 1);
    let both = [Reference::Vm(VM), Reference::Host(HOST)];
    assert_eq!(hub.unknown(both), [Reference::Host(HOST)]);
    let last = Last {
        entity: Reference::Host(HOST),
        values: vec![(0, 5_000, 2.0)],
    };
    hub.fill(&[last]);
    assert!(hub.unknown(both).is_empty());
    let client = hub.connect().expect("a place");
    assert_eq!(client.watch(HashSet::new(), &both).len(), 2);
}

#[test]
fn leaves_nothing_behind_of_a_client_that_is_gone() {
    let hub = hub();
    drop(watching(&hub, &[Reference::Vm(VM)]));
    let state = hub.state();
    assert!(state.mailboxes.is_empty() && state.watchers.is_empty());
}

#[test]
fn counts_who_is_refused() {
    let hub = hub();
    let clients: Vec<_> = (0..MAX_CLIENTS).map_while(|_| hub.connect()).collect();
    assert_eq!(clients.len(), MAX_CLIENTS);
    assert!(hub.connect().is_none());
    assert_eq!(hub.figures.refused.get(), 1);
    drop(clients);
    assert!(hub.connect().is_some());
}

#[test]
fn is_fed_while_one_collector_is_there() {
    let hub = hub();
    assert!(!hub.is_fed());
    let (one, two) = (hub.feed(), hub.feed());
    drop(one);
    assert!(hub.is_fed());
    drop(two);
    assert!(!hub.is_fed());
}

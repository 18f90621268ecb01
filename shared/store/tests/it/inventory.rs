//! Membership of groups: by hand, by rule, by groups within groups, through whatever people and agents do.

use crate::fixture::{FENCE, batch, host_uuid, known, opening, tick, vm_uuid};
use crate::people::{context, made_group, refused};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use tokio::task::JoinSet;
use uuid::Uuid;
use vmscope_model::access::{Permission, Reach};
use vmscope_model::catalogue::vm as metric;
use vmscope_model::label::Labels;
use vmscope_model::rule::{Facts, Rule};
use vmscope_model::{Entity, Fact, HostFacts, Kind, Tick, VmFacts, VmId};
use vmscope_store::access::{Authority, Refusal};
use vmscope_store::group::{self, Definition, Group};
use vmscope_store::ingest::Writer;
use vmscope_store::inventory::Source;
use vmscope_store::testing::Database;
use vmscope_store::vm::{self, Edit, Edited, LabelEdit};
use vmscope_store::{Paging, Store, entity, label, on_both_flavors, session};

pub(crate) fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

/// A group with a rule and parts.
pub(crate) async fn ruled(store: &Store, name: &str, rule: &str, children: &[Uuid]) -> Group {
    let definition = Definition {
        name: name.to_owned(),
        rule: Some(rule.to_owned()),
        children: Some(children.to_vec()),
        ..Definition::default()
    };
    group::create(store, &context(), Authority::System, &definition)
        .await
        .unwrap()
}

/// Gives a group another rule and other parts, by nobody's rights.
async fn redefine(store: &Store, group: &Group, rule: &str, children: &[Uuid]) -> Result<Group, Refusal> {
    let definition = Definition {
        name: group.name.clone(),
        description: String::new(),
        rule: Some(rule.to_owned()),
        children: Some(children.to_vec()),
    };
    let changed = group::update(store, &context(), Authority::System, group.id, &definition).await;
    match changed {
        Ok(group) => Ok(group),
        failed => Err(refused(failed)),
    }
}

/// Edits machines by nobody's rights.
async fn edited(store: &Store, vms: &[u128], edit: &Edit) -> Vec<Edited> {
    let ids: Vec<VmId> = vms.iter().map(|vm| vm_uuid(*vm)).collect();
    let all = Reach::Everything;
    let rights = (&all, (&all, &Permission::ALL));
    let results = vm::edit(store, &context(), Authority::System, &ids, edit, rights)
        .await
        .unwrap();
    results.into_iter().map(|(_, result)| result).collect()
}

/// Sets labels of machines by nobody's rights.
async fn label_vms(store: &Store, vms: &[u128], pairs: &[(&str, &str)]) {
    let edit = Edit {
        labels: LabelEdit::Change {
            set: labels(pairs),
            remove: BTreeSet::new(),
        },
        ..Edit::default()
    };
    edited(store, vms, &edit).await;
}

/// The machines of a group, with why they are in it.
async fn members(store: &Store, group: &Group) -> BTreeMap<VmId, Vec<Source>> {
    let page = group::members(store, group.id, Paging::default()).await.unwrap();
    let found = group::get(store, group.id).await.unwrap().unwrap();
    assert_eq!(page.total, found.members);
    page.items
        .into_iter()
        .map(|member| (member.vm, member.sources))
        .collect()
}

pub(crate) async fn inside(store: &Store, group: &Group) -> Vec<u128> {
    let members = members(store, group).await;
    (0..100)
        .filter(|number| members.contains_key(&vm_uuid(*number)))
        .collect()
}

/// Holds the table of members against rules, parts and facts as they are in the database.
async fn assert_settled(database: &Database) {
    let client = database.client().await.unwrap();
    let pairs = async |query: &str| -> Vec<(Uuid, Uuid)> {
        let rows = client.query(query, &[]).await.unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    };
    let parts = pairs("SELECT parent_id, child_id FROM vm_group_child").await;
    let direct = pairs(
        "SELECT m.group_id, v.uuid FROM vm_group_member m JOIN vm v ON v.id = m.vm_id WHERE source = 'direct'",
    )
    .await;
    let rules = client
        .query("SELECT id, rule FROM vm_group WHERE rule IS NOT NULL", &[])
        .await
        .unwrap();
    let rules: Vec<(Uuid, Rule)> = rules
        .iter()
        .map(|row| (row.get(0), row.get::<_, &str>(1).parse().unwrap()))
        .collect();
    let facts = "SELECT v.uuid, v.name, h.name, (SELECT json_object_agg(key, value)::text FROM vm_label WHERE vm_id = v.id),
        (SELECT json_object_agg(key, value)::text FROM host_label WHERE host_id = h.id)
        FROM vm v LEFT JOIN host h ON h.id = v.host_id";
    let mut expected = BTreeSet::new();
    for row in client.query(facts, &[]).await.unwrap() {
        let vm: Uuid = row.get(0);
        let read =
            |text: Option<&str>| text.map_or_else(Labels::new, |text| serde_json::from_str(text).unwrap());
        let facts = Facts {
            name: row.get(1),
            id: vm.to_string(),
            host: row.get(2),
            labels: read(row.get(3)),
            host_labels: read(row.get(4)),
        };
        let by_rule = rules
            .iter()
            .filter(|(_, rule)| rule.matches(&facts))
            .map(|(group, _)| *group);
        let by_hand = direct
            .iter()
            .filter(|(_, one)| *one == vm)
            .map(|(group, _)| *group);
        expected.extend(by_rule.clone().map(|group| (group, vm, "rule".to_owned())));
        expected.extend(by_hand.clone().map(|group| (group, vm, "direct".to_owned())));
        let mut ahead: Vec<Uuid> = by_rule.chain(by_hand).collect();
        while let Some(group) = ahead.pop() {
            for (parent, _) in parts.iter().filter(|(_, child)| *child == group) {
                if expected.insert((*parent, vm, "nested".to_owned())) {
                    ahead.push(*parent);
                }
            }
        }
    }
    let stored = "SELECT m.group_id, v.uuid, m.source FROM vm_group_member m JOIN vm v ON v.id = m.vm_id";
    let stored = client.query(stored, &[]).await.unwrap();
    let stored: BTreeSet<(Uuid, Uuid, String)> = stored
        .iter()
        .map(|row| (row.get(0), row.get(1), row.get(2)))
        .collect();
    assert_eq!(stored, expected);
}

fn named(number: u128, name: &str) -> Fact {
    Fact::Vm(VmFacts {
        vm: vm_uuid(number),
        name: name.to_owned(),
    })
}

fn host_named(name: &str) -> Fact {
    Fact::Host(HostFacts {
        name: name.to_owned(),
        ..HostFacts::default()
    })
}

on_both_flavors! {
    async fn a_rule_has_the_machines_that_are_there_and_those_that_come(database: Database) {
        let store = database.store();
        known(store, 1, 3).await;
        label_vms(store, &[0, 1], &[("env", "prod")]).await;
        let prod = ruled(store, "prod", "label.env = prod", &[]).await;
        assert_eq!(members(store, &prod).await, BTreeMap::from([(vm_uuid(0), vec![Source::Rule]), (vm_uuid(1), vec![Source::Rule])]));
        label_vms(store, &[1], &[("env", "test")]).await;
        assert_eq!(inside(store, &prod).await, [0]);
        let everything = ruled(store, "everything", "name ~ \"*\"", &[]).await;
        let (host_id, _) = known(store, 2, 0).await;
        entity::resolve(store, host_id, &[Entity::Vm(vm_uuid(7))]).await.unwrap();
        assert_eq!(inside(store, &everything).await, [0, 1, 2, 7], "a new machine is in its groups at once");
        redefine(store, &everything, "", &[]).await.unwrap();
        assert_eq!(inside(store, &everything).await, []);
        assert_settled(&database).await;
    }

    async fn what_agents_say_moves_machines_in_the_same_transaction(database: Database) {
        let store = database.store();
        let (alpha, vms) = known(store, 1, 2).await;
        let (beta, _) = known(store, 2, 0).await;
        let web = ruled(store, "web", "name ~ \"web*\"", &[]).await;
        let on_beta = ruled(store, "on beta", "host = beta", &[]).await;
        let gold = ruled(store, "gold", "host.label.tier = gold", &[on_beta.id]).await;
        let mut writer = Writer::connect(database.url()).await.unwrap();
        let now_us = Timestamp::now().as_microsecond();
        let running = [(metric::STATE, 1)];
        let facts = vec![named(0, "web-1"), named(5, "web-5"), host_named("alpha")];
        let first = Tick { facts, ..tick(now_us, Kind::Vm, &[(vms[0], &running), (vms[1], &running)]) };
        writer.commit(&[batch(alpha, 1, vec![(1, first)])]).await.unwrap();
        assert_eq!(inside(store, &web).await, [0, 5], "also one of which only a name is known");
        let renamed = Tick { facts: vec![named(0, "db-1"), host_named("beta")], ..tick(now_us + 1, Kind::Vm, &[]) };
        writer.commit(&[batch(alpha, 1, vec![(2, renamed)])]).await.unwrap();
        assert_eq!((inside(store, &web).await, inside(store, &on_beta).await), (vec![5], vec![0, 1, 5]));
        let back = Tick { facts: vec![host_named("alpha")], ..tick(now_us + 2, Kind::Vm, &[]) };
        writer.commit(&[batch(alpha, 1, vec![(3, back)])]).await.unwrap();
        assert_eq!(inside(store, &on_beta).await, []);
        let moved = Tick { facts: vec![host_named("beta")], ..tick(now_us + 1_000_000, Kind::Vm, &[(vms[1], &running)]) };
        writer.commit(&[batch(beta, 1, vec![(1, moved)])]).await.unwrap();
        assert_eq!((inside(store, &on_beta).await, inside(store, &gold).await), (vec![1], vec![1]));
        label::set_host(store, &context(), Authority::System, host_uuid(1), &labels(&[("tier", "gold")])).await.unwrap();
        assert_eq!(inside(store, &gold).await, [0, 1, 5]);
        // Moves there and back again, by two writers.
        let mut other = Writer::connect(database.url()).await.unwrap();
        for second in 1..=4_i64 {
            let at = now_us + second * 20_000_000;
            let (writer, host, sequence) = if second % 2 == 0 { (&mut writer, alpha, 3 + second / 2) } else { (&mut other, beta, 1 + (second + 1) / 2) };
            let row = tick(at, Kind::Vm, &[(vms[1], &running)]);
            writer.commit(&[batch(host, 1, vec![(sequence.cast_unsigned(), row)])]).await.unwrap();
            assert_eq!(inside(store, &on_beta).await.is_empty(), second % 2 == 0, "{second}");
            assert_settled(&database).await;
        }
    }

    async fn what_is_in_a_part_is_in_the_whole_and_never_in_a_circle(database: Database) {
        let store = database.store();
        known(store, 1, 4).await;
        let (low, middle) = (made_group(store, "low").await, made_group(store, "middle").await);
        redefine(store, &middle, "", &[low.id]).await.unwrap();
        let high = ruled(store, "high", "name = nothing", &[middle.id]).await;
        let add = |group: &Group| Edit { add: BTreeSet::from([group.id]), ..Edit::default() };
        assert_eq!(edited(store, &[0, 1], &add(&low)).await, [Edited::Done, Edited::Done]);
        assert_eq!(edited(store, &[1, 2], &add(&middle)).await, [Edited::Done, Edited::Done]);
        assert_eq!(edited(store, &[1, 77], &add(&middle)).await, [Edited::Unchanged, Edited::Unknown]);
        assert_eq!(inside(store, &high).await, [0, 1, 2]);
        assert_eq!(members(store, &middle).await[&vm_uuid(1)], [Source::Direct, Source::Nested]);
        for (group, child) in [(&low, &high), (&low, &middle), (&low, &low)] {
            assert_eq!(redefine(store, group, "", &[child.id]).await, Err(Refusal::Cycle), "{} {}", group.name, child.name);
        }
        assert_eq!(redefine(store, &low, "", &[Uuid::nil()]).await, Err(Refusal::Unknown("part")));
        assert_eq!(redefine(store, &low, "name =", &[]).await, Err(Refusal::Malformed("rule".to_owned())));
        let out = Edit { remove: BTreeSet::from([middle.id]), ..Edit::default() };
        edited(store, &[1, 2], &out).await;
        assert_eq!((inside(store, &middle).await, inside(store, &high).await), (vec![0, 1], vec![0, 1]));
        assert_settled(&database).await;
        group::delete(store, &context(), Authority::System, low.id).await.unwrap();
        assert_eq!((inside(store, &middle).await, inside(store, &high).await), (vec![], vec![]));
        assert_settled(&database).await;
    }

    async fn labels_are_what_labels_can_be_and_each_machine_keeps_its_own(database: Database) {
        let store = database.store();
        let (host_id, vms) = known(store, 1, 3).await;
        label_vms(store, &[0, 1], &[("env", "prod"), ("tier", "web")]).await;
        let change = Edit {
            labels: LabelEdit::Change { set: labels(&[("env", "test")]), remove: BTreeSet::from(["tier".to_owned()]) },
            ..Edit::default()
        };
        assert_eq!(edited(store, &[0, 2], &change).await, [Edited::Done, Edited::Done]);
        let of_all = label::of_vms(store, &vms).await.unwrap();
        assert_eq!(of_all[&vms[0]], labels(&[("env", "test")]));
        assert_eq!(of_all[&vms[1]], labels(&[("env", "prod"), ("tier", "web")]));
        let replace = |pairs: &[(&str, &str)]| Edit { labels: LabelEdit::Replace(labels(pairs)), ..Edit::default() };
        assert_eq!(edited(store, &[1], &replace(&[("a", "")])).await, [Edited::Done]);
        assert_eq!(label::of_vms(store, &vms).await.unwrap()[&vms[1]], labels(&[("a", "")]));
        for pairs in [&[("Env", "x")][..], &[("a", "b\nc")]] {
            assert_eq!(edited(store, &[1], &replace(pairs)).await, [Edited::Malformed]);
        }
        let many: Vec<(String, String)> = (0..65).map(|number| (format!("k{number}"), String::new())).collect();
        let too_many = Edit { labels: LabelEdit::Replace(many.into_iter().collect()), ..Edit::default() };
        assert_eq!(edited(store, &[1], &too_many).await, [Edited::Malformed]);
        let of_host = labels(&[("rack", "12")]);
        let set = async |labels: &Labels| label::set_host(store, &context(), Authority::System, host_uuid(1), labels).await;
        assert_eq!(set(&of_host).await.unwrap(), Labels::new());
        assert_eq!(set(&of_host).await.unwrap(), of_host);
        assert_eq!(label::of_hosts(store, &[host_id]).await.unwrap()[&host_id], of_host);
        assert_eq!(refused(set(&labels(&[("", "")])).await), Refusal::Malformed("labels".to_owned()));
        let nowhere = label::set_host(store, &context(), Authority::System, host_uuid(9), &of_host).await;
        assert_eq!(refused(nowhere), Refusal::Unknown("host"));
    }

    async fn machines_that_come_while_rules_change_are_where_they_belong(database: Database) {
        let store = database.store();
        let group = made_group(store, "all").await;
        let whole = ruled(store, "whole", "host exists", &[group.id]).await;
        let mut doing = JoinSet::new();
        for host in 1..=4_u128 {
            let (store, url) = (store.clone(), database.url().to_owned());
            doing.spawn(async move {
                let host_id = entity::register_host(&store, host_uuid(host)).await.unwrap();
                assert_eq!(session::begin(&store, &opening(host_id, "north")).await.unwrap(), FENCE);
                let mut writer = Writer::connect(&url).await.unwrap();
                for number in 0..10_u64 {
                    let vm = host * 10 + u128::from(number);
                    let facts = vec![named(vm, if number % 2 == 0 { "even" } else { "odd" }), host_named(&format!("host-{}", number / 5))];
                    let tick = Tick { facts, ..tick(Timestamp::now().as_microsecond(), Kind::Vm, &[]) };
                    writer.commit(&[batch(host_id, 1, vec![(number + 1, tick)])]).await.unwrap();
                }
            });
        }
        let changing = store.clone();
        let changed = group.clone();
        doing.spawn(async move {
            for rule in ["name = even", "name = odd", "host = host-0", "not label.x exists", "name = even and host = host-1"] {
                redefine(&changing, &changed, rule, &[]).await.unwrap();
            }
        });
        doing.join_all().await;
        assert_settled(&database).await;
        assert_eq!(group::get(store, whole.id).await.unwrap().unwrap().members, 40);
    }
}

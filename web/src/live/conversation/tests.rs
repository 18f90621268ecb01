//! Tests of what is told.

use super::*;
use crate::live::latest::Values;
use vmscope_model::VmId;

fn vm(number: u128) -> Reference {
    Reference::Vm(VmId(Uuid::from_u128(number)))
}

fn vms(numbers: std::ops::Range<u128>) -> Vec<Reference> {
    numbers.map(vm).collect()
}

#[test]
fn a_group_gets_what_room_single_things_and_other_groups_leave() {
    let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let direct: HashSet<Reference> = vms(0..400).into_iter().collect();
    let groups = BTreeMap::from([(one, vms(300..800)), (other, vms(700..1_100))]);
    let (all, fitted) = fit(direct, groups);
    assert_eq!(all.len(), MAX_SUBSCRIPTIONS);
    assert_eq!((fitted[&one].members.len(), fitted[&one].more), (500, 0));
    assert_eq!((fitted[&other].members.len(), fitted[&other].more), (300, 100));
}

#[test]
fn a_snapshot_is_told_in_parts_of_which_the_last_one_says_so() {
    let sample = |number| Sample {
        entity: entity::format(vm(number)),
        time: 0,
        values: Values::default(),
    };
    let told = |count: u128| -> Vec<(usize, bool)> {
        let size = |part: ServerMessage| match part {
            ServerMessage::Snapshot { samples, complete } => (samples.len(), complete),
            other => panic!("{other:?}"),
        };
        parts((0..count).map(sample).collect())
            .into_iter()
            .map(size)
            .collect()
    };
    assert_eq!(told(0), [(0, true)]);
    assert_eq!(told(100), [(100, true)]);
    assert_eq!(told(201), [(100, false), (100, false), (1, true)]);
}

#[test]
fn a_group_is_told_when_it_is_new_has_changed_or_was_asked_for() {
    let id = Uuid::from_u128(1);
    let group = |members| BTreeMap::from([(id, Group { members, more: 0 })]);
    let (before, after) = (group(vms(0..1)), group(vms(0..2)));
    let asked = Occasion::Asked {
        resumed: None,
        topics: vec![Topic::Group(id)],
    };
    assert_eq!(changes(&before, &BTreeMap::new(), &Occasion::Looked).len(), 1);
    assert_eq!(changes(&before, &before, &Occasion::Looked), []);
    assert_eq!(changes(&after, &before, &Occasion::Looked).len(), 1);
    assert_eq!(changes(&before, &before, &asked).len(), 1);
}

//! Database ids.

use crate::fixture::{count, host_uuid, known, vm_uuid};
use vmscope_model::{Entity, Kind, Owner};
use vmscope_store::entity::{self, Reference};
use vmscope_store::{device, on_both_flavors};

/// A host's worth of things, owners and devices mixed.
fn things(vms: u128) -> Vec<Entity> {
    let mut things = vec![
        Entity::Host,
        Entity::Disk {
            owner: Owner::Host,
            name: "/var".to_owned(),
        },
    ];
    for vm in 0..vms {
        let owner = Owner::Vm(vm_uuid(vm));
        things.push(Entity::Disk {
            owner,
            name: "vda".to_owned(),
        });
        things.push(Entity::Nic {
            owner,
            name: format!("vnet{vm}"),
        });
        things.extend((0..3).map(|index| Entity::Vcpu { owner, index }));
        things.push(Entity::Vm(vm_uuid(vm)));
    }
    things
}

on_both_flavors! {
    async fn the_same_thing_has_one_id_for_ever(database: Database) {
        let (store, things) = (database.store(), things(20));
        let host_id = entity::register_host(store, host_uuid(1)).await.unwrap();
        let first = entity::resolve(store, host_id, &things).await.unwrap();
        let mut reversed = things.clone();
        reversed.reverse();
        let mut second = entity::resolve(store, host_id, &reversed).await.unwrap();
        second.reverse();
        assert_eq!(first, second);
        assert_eq!(entity::register_host(store, host_uuid(1)).await.unwrap(), host_id);
        assert_eq!(count(&database, "device").await, 1 + 20 * 5);
    }

    async fn many_collectors_resolve_at_once(database: Database) {
        let asking: Vec<_> = (0..8).map(|asker| {
            let (store, mut things) = (database.store().clone(), things(30));
            tokio::spawn(async move {
                let host_id = entity::register_host(&store, host_uuid(1)).await.unwrap();
                if asker % 2 == 0 {
                    things.reverse();
                }
                let mut ids = entity::resolve(&store, host_id, &things).await.unwrap();
                if asker % 2 == 0 {
                    ids.reverse();
                }
                ids
            })
        }).collect();
        let mut answers = Vec::new();
        for answer in asking {
            answers.push(answer.await.unwrap());
        }
        assert!(answers.windows(2).all(|pair| pair[0] == pair[1]));
        assert_eq!(count(&database, "vm").await, 30);
        assert_eq!(count(&database, "host").await, 1);
    }

    async fn hosts_own_their_devices_apart(database: Database) {
        let store = database.store();
        let ((first, _), (second, _)) = (known(store, 1, 0).await, known(store, 2, 0).await);
        let disk = [Entity::Disk { owner: Owner::Host, name: "sda".to_owned() }];
        let ids = [
            entity::resolve(store, first, &disk).await.unwrap()[0],
            entity::resolve(store, second, &disk).await.unwrap()[0],
        ];
        assert_ne!(ids[0], ids[1]);
    }

    async fn devices_list_in_a_person_s_order(database: Database) {
        let store = database.store();
        let (host_id, _) = known(store, 1, 1).await;
        let owner = Owner::Vm(vm_uuid(0));
        let mut things: Vec<Entity> = (0..12).map(|index| Entity::Vcpu { owner, index }).collect();
        things.push(Entity::Disk { owner, name: "vdb".to_owned() });
        things.push(Entity::Disk { owner, name: "vda".to_owned() });
        let ids = entity::resolve(store, host_id, &things).await.unwrap();
        let devices = device::list(store, Reference::Vm(vm_uuid(0))).await.unwrap();
        let names: Vec<&str> = devices.iter().map(|device| device.name.as_str()).collect();
        let expected = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "vda", "vdb"];
        assert_eq!(names, expected);
        assert_eq!((devices[12].kind, devices[12].id), (Kind::Disk, ids[13]));

        let found = entity::find(store, Reference::Device { kind: Kind::Disk, id: ids[13] }).await.unwrap();
        assert_eq!(found, Some(ids[13]));
        let other_kind = entity::find(store, Reference::Device { kind: Kind::Nic, id: ids[13] }).await.unwrap();
        assert_eq!(other_kind, None);
        assert_eq!(entity::find(store, Reference::Vm(vm_uuid(99))).await.unwrap(), None);
    }
}

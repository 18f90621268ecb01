//! Sealed secrets as rows: versions, and master keys that were retired.

use tokio::task::JoinSet;
use uuid::Uuid;
use vmscope_store::on_both_flavors;
use vmscope_store::secret::{self, Retired, Sealed, Written};

fn sealed(id: u128, master_key: &str) -> Sealed<'_> {
    Sealed {
        id: Uuid::from_u128(id),
        purpose: "totp",
        owner: "anna",
        master_key,
        sealed: b"sealed",
    }
}

on_both_flavors! {
    async fn of_two_changes_of_one_version_one_fails(database: Database) {
        let store = database.store();
        assert_eq!(secret::insert(store, &sealed(1, "k1")).await.unwrap(), Written::Done);
        assert_eq!(secret::update(store, &sealed(1, "k2"), 1).await.unwrap(), Written::Done);
        assert_eq!(secret::update(store, &sealed(1, "k3"), 1).await.unwrap(), Written::Changed);
        let stored = secret::get(store, Uuid::from_u128(1)).await.unwrap().unwrap();
        assert_eq!((stored.master_key.as_str(), stored.version), ("k2", 2));
        assert_eq!(secret::newest(store, "totp", "anna").await.unwrap(), Some(stored.id));
        assert_eq!(secret::newest(store, "totp", "bert").await.unwrap(), None);
        assert!(secret::remove(store, stored.id).await.unwrap());
        assert!(!secret::remove(store, stored.id).await.unwrap());
        assert_eq!(secret::update(store, &sealed(1, "k3"), 2).await.unwrap(), Written::Changed);
    }

    async fn a_key_in_use_is_not_retired_and_a_retired_one_is_not_used(database: Database) {
        let store = database.store();
        secret::insert(store, &sealed(1, "old")).await.unwrap();
        assert_eq!(secret::retire_key(store, "old").await.unwrap(), Retired::InUse(1));
        secret::update(store, &sealed(1, "new"), 1).await.unwrap();
        assert_eq!(secret::retire_key(store, "old").await.unwrap(), Retired::Done);
        assert_eq!(secret::retire_key(store, "old").await.unwrap(), Retired::Done);
        assert_eq!(secret::insert(store, &sealed(2, "old")).await.unwrap(), Written::RetiredKey);
        assert_eq!(secret::update(store, &sealed(1, "old"), 2).await.unwrap(), Written::RetiredKey);
        let usage = secret::key_use(store).await.unwrap();
        let usage: Vec<_> = usage.iter().map(|key| (key.master_key.as_str(), key.secrets, key.retired_at.is_some())).collect();
        assert_eq!(usage, [("new", 1, false), ("old", 0, true)]);
    }

    /// Whoever writes while a key is retired: either the secret is there and the key is not retired, or the other way round.
    async fn nothing_slips_under_a_key_that_is_being_retired(database: Database) {
        for round in 0..20_u128 {
            let store = database.store();
            let key = format!("k{round}");
            let mut writers = JoinSet::new();
            for number in 0..4 {
                let (store, key) = (store.clone(), key.clone());
                writers.spawn(async move { secret::insert(&store, &sealed(round * 100 + number + 1, &key)).await.unwrap() });
            }
            let retired = secret::retire_key(store, &key).await.unwrap();
            let written = writers.join_all().await.iter().filter(|&&written| written == Written::Done).count();
            match retired {
                Retired::Done => assert_eq!(written, 0),
                Retired::InUse(_) => assert_eq!(written, 4),
            }
        }
    }
}

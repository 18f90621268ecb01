//! Logins: locks, sessions, second factors, tokens, keys and the first user.

use crate::fixture::count;
use crate::people::{actions, context, new_user, person, person_with, refused};
use jiff::Timestamp;
use std::time::Duration;
use tokio::task::JoinSet;
use uuid::Uuid;
use vmscope_model::access::{SUPER_ADMIN, Scope, VIEWER};
use vmscope_store::access::{Authority, Failure, Refusal};
use vmscope_store::lockout::{self, Key, MAX_FAILURES};
use vmscope_store::login::{self, NewSession, Refreshed, Session};
use vmscope_store::signing_key::{self, NewKey};
use vmscope_store::token::{self, NewToken};
use vmscope_store::user::{self, Changes, NewPassword, User};
use vmscope_store::{Store, grant, on_both_flavors, second_factor, setup};

const HOUR_S: i64 = 3600;

async fn log_in(store: &Store, user: &User, refresh: u8) -> Result<Session, Failure> {
    let new = NewSession {
        user: user.id,
        refresh_sha256: &[refresh; 32],
        lifetime_s: HOUR_S,
        remote: "192.0.2.7",
        user_agent: "a browser",
    };
    login::begin(store, &context(), new).await
}

async fn fail(store: &Store, key: &Key) -> Option<Timestamp> {
    lockout::fail(store, &context(), key, None, 40_101).await.unwrap()
}

async fn refresh(store: &Store, old: u8, new: u8) -> Refreshed {
    login::refresh(store, &context(), &[old; 32], &[new; 32], HOUR_S)
        .await
        .unwrap()
}

on_both_flavors! {
    async fn five_failures_lock_a_known_and_an_unknown_name_alike(database: Database) {
        let store = database.store();
        let ada = person(store, "ada").await;
        for key in [Key::of_user(ada.id), Key::of_stranger("nobody")] {
            for failure in 1..=MAX_FAILURES + 2 {
                let locked = fail(store, &key).await;
                assert_eq!(locked.is_some(), failure >= MAX_FAILURES, "{failure}");
                assert_eq!(lockout::locked_until(store, &key).await.unwrap(), locked);
            }
        }
        let locked = user::get(store, ada.id).await.unwrap().unwrap().locked_until.unwrap();
        let wait = locked.as_second() - Timestamp::now().as_second();
        assert!((1_700..=1_800).contains(&wait), "{wait}");
        assert_eq!(refused(log_in(store, &ada, 1).await), Refusal::Locked);
        lockout::unlock(store, &context(), Authority::System, ada.id).await.unwrap();
        log_in(store, &ada, 1).await.unwrap();
        assert_eq!(actions(store, 3).await, ["login.success", "user.unlock", "login.failure"]);
    }

    async fn a_lock_that_is_over_begins_a_new_count_and_a_login_ends_one(database: Database) {
        let store = database.store();
        let ada = person(store, "ada").await;
        let key = Key::of_user(ada.id);
        for _ in 0..MAX_FAILURES {
            fail(store, &key).await;
        }
        let client = database.client().await.unwrap();
        client.execute("UPDATE login_failure SET locked_until = now() - interval '1 s'", &[]).await.unwrap();
        for _ in 1..MAX_FAILURES {
            assert_eq!(fail(store, &key).await, None);
        }
        log_in(store, &ada, 1).await.unwrap();
        for _ in 1..MAX_FAILURES {
            assert_eq!(fail(store, &key).await, None);
        }
        assert!(fail(store, &key).await.is_some());
    }

    async fn of_many_failures_at_once_each_counts(database: Database) {
        let store = database.store();
        let ada = person(store, "ada").await;
        let mut failures = JoinSet::new();
        for _ in 0..40 {
            let (store, key) = (store.clone(), Key::of_user(ada.id));
            failures.spawn(async move { fail(&store, &key).await });
        }
        let open = failures.join_all().await.into_iter().filter(Option::is_none).count();
        assert_eq!(open, usize::try_from(MAX_FAILURES - 1).unwrap());
        assert_eq!(count(&database, "login_failure WHERE failures = 40").await, 1);
        assert_eq!(count(&database, "audit WHERE action = 'login.failure'").await, 40);
    }

    async fn a_right_password_helps_nobody_once_the_lock_has_fallen(database: Database) {
        let store = database.store();
        let ada = person(store, "ada").await;
        let mut attempts = JoinSet::new();
        for number in 0..30 {
            let (store, ada) = (store.clone(), ada.clone());
            attempts.spawn(async move {
                if number == 29 {
                    return log_in(&store, &ada, 1).await.is_ok();
                }
                fail(&store, &Key::of_user(ada.id)).await;
                false
            });
        }
        let entered = attempts.join_all().await.into_iter().any(|entered| entered);
        // Either it came before the fifth failure, or it was refused: then the trail has no success.
        assert_eq!(count(&database, "audit WHERE action = 'login.success'").await, i64::from(entered));
        let before = "audit f JOIN audit s ON s.action = 'login.success' AND f.action = 'login.failure' AND f.id < s.id";
        assert!(count(&database, before).await < i64::from(MAX_FAILURES));
    }

    async fn a_session_goes_on_and_a_used_token_ends_it(database: Database) {
        let store = database.store();
        let ada = person(store, "ada").await;
        let session = log_in(store, &ada, 1).await.unwrap();
        assert_eq!(login::holder(store, session.id).await.unwrap().unwrap().id, ada.id);
        assert!(matches!(refresh(store, 1, 2).await, Refreshed::Done(continued) if continued.id == session.id));
        assert!(matches!(refresh(store, 2, 3).await, Refreshed::Done(_)));
        let elsewhere = log_in(store, &ada, 9).await.unwrap();
        assert_eq!(refresh(store, 1, 4).await, Refreshed::Reused(session.id));
        assert_eq!(login::holder(store, session.id).await.unwrap(), None);
        assert_eq!(refresh(store, 3, 5).await, Refreshed::Over, "the newest token died with the session");
        assert_eq!(refresh(store, 77, 6).await, Refreshed::Unknown);
        assert!(login::holder(store, elsewhere.id).await.unwrap().is_some(), "other sessions go on");
        assert_eq!(count(&database, "audit WHERE action = 'session.reuse' AND result = 'denied'").await, 1);
    }

    async fn of_many_who_show_one_token_at_once_one_goes_on_and_the_session_ends(database: Database) {
        let store = database.store();
        let ada = person(store, "ada").await;
        let session = log_in(store, &ada, 1).await.unwrap();
        let mut refreshes = JoinSet::new();
        for number in 10..26 {
            let store = store.clone();
            refreshes.spawn(async move { refresh(&store, 1, number).await });
        }
        let outcomes = refreshes.join_all().await;
        let done = outcomes.iter().filter(|outcome| matches!(outcome, Refreshed::Done(_))).count();
        let reused = outcomes.iter().filter(|outcome| **outcome == Refreshed::Reused(session.id)).count();
        assert_eq!((done, reused), (1, 15));
        assert_eq!(login::holder(store, session.id).await.unwrap(), None);
        assert_eq!(count(&database, "audit WHERE action = 'session.reuse'").await, 1);
    }

    async fn sessions_end_with_their_time_their_password_and_their_user(database: Database) {
        let store = database.store();
        let ada = person(store, "ada").await;
        let client = database.client().await.unwrap();
        let old = log_in(store, &ada, 1).await.unwrap();
        client.execute("UPDATE login_session SET expires_at = now()", &[]).await.unwrap();
        assert_eq!(login::holder(store, old.id).await.unwrap(), None);
        assert_eq!(refresh(store, 1, 2).await, Refreshed::Over);

        let (kept, other) = (log_in(store, &ada, 3).await.unwrap(), log_in(store, &ada, 4).await.unwrap());
        let new = NewPassword { hash: "another", must_change: false, keep_session: Some(kept.id) };
        user::set_password(store, &context(), Authority::Own, ada.id, new).await.unwrap();
        assert!(login::holder(store, kept.id).await.unwrap().is_some());
        assert_eq!(login::holder(store, other.id).await.unwrap(), None);
        assert_eq!(login::sessions(store, ada.id).await.unwrap().len(), 1);
        login::end(store, &context(), ada.id, kept.id).await.unwrap();
        assert_eq!(refused(login::end(store, &context(), ada.id, kept.id).await), Refusal::Unknown("session"));

        let last = log_in(store, &ada, 5).await.unwrap();
        let changes = Changes { disabled: Some(true), ..Changes::default() };
        user::update(store, &context(), Authority::System, ada.id, &changes).await.unwrap();
        assert_eq!(login::holder(store, last.id).await.unwrap(), None);
        assert_eq!(refused(log_in(store, &ada, 6).await), Refusal::Unknown("user"));
        assert_eq!(actions(store, 1).await, ["user.disable"]);
        client.execute("UPDATE login_session SET expires_at = now() - interval '31 days'", &[]).await.unwrap();
        assert_eq!(login::sweep(store).await.unwrap(), 4);
        assert_eq!(count(&database, "refresh_token").await, 0);
    }

    async fn each_code_of_a_second_factor_works_once(database: Database) {
        let store = database.store();
        let ada = person(store, "ada").await;
        let (first, second) = (Uuid::from_u128(1), Uuid::from_u128(2));
        assert_eq!(second_factor::begin(store, &context(), ada.id, first).await.unwrap(), None);
        assert_eq!(second_factor::begin(store, &context(), ada.id, second).await.unwrap(), Some(first));
        assert!(!second_factor::use_step(store, ada.id, 5).await.unwrap(), "nothing is confirmed yet");
        second_factor::confirm(store, &context(), ada.id, 10, &[[1; 32], [2; 32]]).await.unwrap();
        assert!(user::get(store, ada.id).await.unwrap().unwrap().two_factor);
        let again = second_factor::begin(store, &context(), ada.id, first).await;
        assert_eq!(refused(again), Refusal::InUse);
        let mut shown = JoinSet::new();
        for step in [10, 9, 11, 11, 11, 11] {
            let store = store.clone();
            shown.spawn(async move { second_factor::use_step(&store, ada.id, step).await.unwrap() });
        }
        assert_eq!(shown.join_all().await.into_iter().filter(|used| *used).count(), 1);
        let mut codes = JoinSet::new();
        for _ in 0..4 {
            let store = store.clone();
            codes.spawn(async move {
                second_factor::use_recovery_code(&store, &context(), ada.id, &[1; 32]).await.unwrap()
            });
        }
        assert_eq!(codes.join_all().await.into_iter().filter(|used| *used).count(), 1);
        assert!(!second_factor::use_recovery_code(store, &context(), ada.id, &[3; 32]).await.unwrap());
        assert_eq!(second_factor::recovery_codes_left(store, ada.id).await.unwrap(), 1);
        let gone = second_factor::disable(store, &context(), Authority::Own, ada.id).await.unwrap();
        assert_eq!((gone, second_factor::get(store, ada.id).await.unwrap()), (Some(second), None));
        assert!(!second_factor::use_recovery_code(store, &context(), ada.id, &[2; 32]).await.unwrap());
    }

    async fn a_token_is_good_for_its_secret_its_time_and_its_owner(database: Database) {
        let store = database.store();
        let ada = person_with(store, "ada", VIEWER, Scope::All).await;
        let (permissions, later) = (["vm.read".parse().unwrap()], Timestamp::now() + Duration::from_hours(1));
        let new = |id| NewToken {
            id: Uuid::from_u128(id), user: ada.id, name: "backup", secret_sha256: &[7; 32],
            permissions: &permissions, expires_at: later,
        };
        token::create(store, &context(), &new(1)).await.unwrap();
        let show = async |id: u128, secret: u8| token::show(store, Uuid::from_u128(id), &[secret; 32], "192.0.2.9").await.unwrap();
        let shown = show(1, 7).await.unwrap();
        assert_eq!((shown.user_name.as_str(), shown.token.permissions), ("ada", vec!["vm.read".to_owned()]));
        let listed = token::list(store, ada.id).await.unwrap();
        assert_eq!(listed[0].last_used_remote.as_deref(), Some("192.0.2.9"));
        assert_eq!((show(1, 8).await, show(2, 7).await), (None, None));
        token::revoke(store, &context(), ada.id, Uuid::from_u128(1)).await.unwrap();
        assert_eq!(show(1, 7).await, None);
        assert_eq!(refused(token::revoke(store, &context(), ada.id, Uuid::from_u128(1)).await), Refusal::Unknown("token"));
        token::create(store, &context(), &NewToken { expires_at: Timestamp::now(), ..new(2) }).await.unwrap();
        assert_eq!(show(2, 7).await, None);
        token::create(store, &context(), &new(3)).await.unwrap();
        assert!(show(3, 7).await.is_some());
        let changes = Changes { disabled: Some(true), ..Changes::default() };
        user::update(store, &context(), Authority::System, ada.id, &changes).await.unwrap();
        assert_eq!(show(3, 7).await, None);
        user::delete(store, &context(), Authority::System, ada.id).await.unwrap();
        assert_eq!(count(&database, "api_token").await, 0);
    }

    async fn one_key_signs_whoever_makes_one_at_once_and_older_ones_verify_for_a_while(database: Database) {
        let store = database.store();
        let mut makers = JoinSet::new();
        for number in 0..6_u128 {
            let store = store.clone();
            makers.spawn(async move {
                let kid = format!("key-{number}");
                let new = NewKey { kid: &kid, public_jwk: "{\"kty\": \"RSA\"}", secret: Uuid::from_u128(number) };
                signing_key::activate(&store, &context(), &new, None, HOUR_S).await.unwrap()
            });
        }
        assert_eq!(makers.join_all().await.into_iter().filter(|made| *made).count(), 1);
        let first = signing_key::list(store).await.unwrap();
        assert_eq!((first.len(), first[0].retires_at), (1, None));
        let new = NewKey { kid: "next", public_jwk: "{}", secret: Uuid::from_u128(9) };
        assert!(signing_key::activate(store, &context(), &new, Some(&first[0].kid), HOUR_S).await.unwrap());
        let both = signing_key::list(store).await.unwrap();
        assert_eq!((both.len(), both[0].kid.as_str(), both[1].retires_at.is_some()), (2, "next", true));
        assert_eq!(signing_key::remove(store, &context(), &first[0].kid).await.unwrap(), Some(first[0].secret));
        assert_eq!(signing_key::remove(store, &context(), &first[0].kid).await.unwrap(), None);
        assert_eq!(signing_key::list(store).await.unwrap().len(), 1);
        assert_eq!(signing_key::remove(store, &context(), "next").await.unwrap(), Some(Uuid::from_u128(9)));
        assert!(signing_key::activate(store, &context(), &NewKey { kid: "third", ..new }, None, HOUR_S).await.unwrap());
    }

    async fn of_many_who_know_the_set_up_code_one_is_the_first_user(database: Database) {
        let store = database.store();
        let (old, code) = ([1; 32], [2; 32]);
        assert!(setup::is_needed(store).await.unwrap() && !setup::has_code(store).await.unwrap());
        assert!(setup::offer(store, &context(), &old, true).await.unwrap());
        assert!(!setup::offer(store, &context(), &code, true).await.unwrap());
        assert!(setup::offer(store, &context(), &code, false).await.unwrap());
        assert_eq!(setup::complete(store, &context(), &old, &new_user("eve")).await.unwrap(), None);
        let mut people = JoinSet::new();
        for number in 0..5 {
            let store = store.clone();
            people.spawn(async move {
                setup::complete(&store, &context(), &code, &new_user(&format!("user-{number}"))).await.unwrap()
            });
        }
        let made: Vec<User> = people.join_all().await.into_iter().flatten().collect();
        assert_eq!((made.len(), count(&database, "user_account").await), (1, 1));
        let grants = grant::list(store, made[0].id).await.unwrap();
        assert_eq!((grants[0].role, grants[0].scope), (SUPER_ADMIN, Scope::All));
        assert!(!setup::is_needed(store).await.unwrap() && !setup::has_code(store).await.unwrap());
        assert!(!setup::offer(store, &context(), &old, false).await.unwrap());
    }
}

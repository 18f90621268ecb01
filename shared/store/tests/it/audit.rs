//! The audit trail: added to by everybody at once, changed by nobody unseen.

use crate::fixture::count;
use serde_json::json;
use tokio::task::JoinSet;
use uuid::Uuid;
use vmscope_store::audit::{
    self, Actor, Check, Checkpoint, Context, Entry, Filter, Finding, Mark, Outcome, Report, Since,
};
use vmscope_store::testing::Database;
use vmscope_store::{Store, on_both_flavors};

const KEY: Uuid = Uuid::from_u128(0x5167);
const ANNA: Uuid = Uuid::from_u128(0xA);

fn anna() -> Context {
    Context {
        actor: Actor::User {
            id: ANNA,
            name: "Anna".to_owned(),
        },
        remote: "192.0.2.7".to_owned(),
        request_id: "req-1".to_owned(),
    }
}

/// Not a signature, but like one: nobody else makes it, and it fits one statement.
fn sign(statement: &[u8]) -> Vec<u8> {
    [b"signed: ", statement].concat()
}

async fn add(store: &Store, entries: u32) {
    for number in 0..entries {
        let entry = Entry::done("user.update")
            .on("user", number, format!("user {number}"))
            .changing(Some(json!({"name": "a"})), Some(json!({"name": "ä\u{0}'b"})));
        audit::record(store, &anna(), &entry).await.unwrap();
    }
}

async fn checkpoint(store: &Store) -> Mark {
    match audit::checkpoint(store, KEY, Check::Since(None), sign)
        .await
        .unwrap()
    {
        Checkpoint::Signed(signed) => signed.mark,
        other => panic!("{other:?}"),
    }
}

async fn verify(store: &Store, known: &[Mark]) -> Report {
    let since = Since {
        after: 0,
        known: known.to_vec(),
    };
    let genuine =
        |key, statement: &[u8], signature: &[u8]| key == KEY && signature == sign(statement).as_slice();
    audit::verify(store, &since, genuine).await.unwrap()
}

/// Ten entries, a checkpoint at the eighth, and then what somebody does who may do everything.
async fn tampered(database: &Database, statements: &str) -> Vec<Finding> {
    let store = database.store();
    add(store, 5).await;
    checkpoint(store).await;
    add(store, 3).await;
    checkpoint(store).await;
    add(store, 2).await;
    let before = verify(store, &[]).await;
    assert_eq!(before.findings, []);
    assert_eq!((before.entries, before.checkpoints, before.signed_to), (10, 2, 8));
    let client = database.client().await.unwrap();
    client.batch_execute(statements).await.unwrap();
    verify(store, &[]).await.findings
}

/// SQL by which somebody gives every entry from `first` on the hash that it should have.
fn rehash(first: i64) -> String {
    format!(
        "DO $$ DECLARE row audit; before bytea; BEGIN
           SELECT coalesce((SELECT hash FROM audit WHERE id < {first} ORDER BY id DESC LIMIT 1), decode(repeat('00', 32), 'hex'))
             INTO before;
           FOR row IN SELECT * FROM audit WHERE id >= {first} ORDER BY id LOOP
             row.prev := before;
             row.hash := sha256(convert_to(audit_field(row.id::text)
               || audit_field((extract(epoch FROM row.at) * 1000000)::bigint::text) || audit_field(row.actor_kind)
               || audit_field(row.actor_id::text) || audit_field(row.actor_user_id::text) || audit_field(row.actor_name)
               || audit_field(row.remote) || audit_field(row.request_id) || audit_field(row.action)
               || audit_field(row.target_kind) || audit_field(row.target_id) || audit_field(row.target_name)
               || audit_field(row.result) || audit_field(row.code::text) || audit_field(row.before::text)
               || audit_field(row.after::text) || audit_field(encode(row.prev, 'hex')), 'UTF8'));
             UPDATE audit SET prev = row.prev, hash = row.hash WHERE id = row.id;
             before := row.hash;
           END LOOP;
           UPDATE audit_head SET id = (SELECT max(id) FROM audit), hash = before;
         END $$;"
    )
}

on_both_flavors! {
    /// The hash of the database and that of this program are of the same fields in the same form.
    async fn entries_of_every_kind_hang_together(database: Database) {
        let store = database.store();
        let contexts = [
            anna(),
            Context { actor: Actor::Anonymous { claimed: "an\u{0}na \u{1F511}".to_owned() }, ..anna() },
            Context { actor: Actor::Token { id: KEY, name: "ci".to_owned(), user: ANNA }, ..anna() },
            Context { actor: Actor::System { name: "x".repeat(5_000) }, remote: String::new(), request_id: String::new() },
        ];
        for context in &contexts {
            for entry in [
                Entry::done("a.b"),
                Entry::denied("a.b", 40_301).on("vm", ANNA, "-:1:\n"),
                Entry::failed("a.b", 40_900).changing(None, Some(json!({"b": 1, "a": [1.5, null, "\u{0}ü"]}))),
            ] {
                audit::record(store, context, &entry).await.unwrap();
            }
        }
        let report = verify(store, &[]).await;
        assert_eq!((report.entries, report.findings), (12, vec![]));
        let newest = audit::list(store, &Filter { limit: 1, ..Filter::default() }).await.unwrap();
        assert_eq!(newest[0].id, 12);
        assert_eq!(newest[0].actor_name.chars().count(), 500, "nobody fills the disk by one name");
        assert_eq!(newest[0].after, Some(json!({"b": 1, "a": [1.5, null, "\u{0}ü"]})));
    }

    async fn numbers_have_no_gaps_whoever_writes_and_whatever_is_rolled_back(database: Database) {
        let store = database.store();
        let mut writers = JoinSet::new();
        for _ in 0..4 {
            let store = store.clone();
            writers.spawn(async move { add(&store, 10).await });
        }
        let mut client = database.client().await.unwrap();
        for _ in 0..10 {
            let transaction = client.transaction().await.unwrap();
            let call = "SELECT audit_append('system', NULL, NULL, 'x', '', '', 'x', NULL, NULL, NULL, 'done', 0, NULL, NULL)";
            transaction.execute(call, &[]).await.unwrap();
            transaction.rollback().await.unwrap();
        }
        while let Some(done) = writers.join_next().await {
            done.unwrap();
        }
        let report = verify(store, &[]).await;
        assert_eq!((report.entries, report.newest.unwrap().audit_id), (40, 40));
        assert_eq!(report.findings, []);
    }

    async fn an_altered_entry_is_named(database: Database) {
        let found = tampered(&database, "UPDATE audit SET actor_name = 'Bert' WHERE id = 3").await;
        assert_eq!(found, [Finding::Altered { id: 3 }]);
    }

    async fn an_entry_with_a_time_that_is_none_is_named(database: Database) {
        let found = tampered(&database, "UPDATE audit SET at = 'infinity' WHERE id = 3").await;
        assert_eq!(found, [Finding::Altered { id: 3 }]);
    }

    async fn an_entry_that_was_replaced_with_a_fitting_hash_is_named(database: Database) {
        // Only the one entry gets its hash anew; the next one still knows the old one.
        let statements = format!(
            "CREATE TABLE kept AS SELECT * FROM audit WHERE id > 9; DELETE FROM audit WHERE id > 9;
             UPDATE audit SET actor_name = 'Bert' WHERE id = 9; {} INSERT INTO audit SELECT * FROM kept;
             UPDATE audit_head SET (id, hash) = (SELECT id, hash FROM kept);",
            rehash(9)
        );
        assert_eq!(tampered(&database, &statements).await, [Finding::Replaced { id: 9 }]);
    }

    async fn removed_entries_are_named(database: Database) {
        let found = tampered(&database, "DELETE FROM audit WHERE id IN (4, 6, 7)").await;
        assert_eq!(found, [Finding::Missing { first: 4, last: 4 }, Finding::Missing { first: 6, last: 7 }]);
    }

    async fn a_tail_that_was_cut_off_is_named(database: Database) {
        let found = tampered(&database, "DELETE FROM audit WHERE id > 7").await;
        assert_eq!(found, [Finding::Truncated { first: 8, last: 10 }]);
    }

    /// The head is set back too; the checkpoint still knows.
    async fn a_tail_that_was_cut_off_with_the_head_is_named(database: Database) {
        let statements = "DELETE FROM audit WHERE id > 6;
            UPDATE audit_head SET (id, hash) = (SELECT id, hash FROM audit WHERE id = 6)";
        assert_eq!(tampered(&database, statements).await, [Finding::Truncated { first: 7, last: 8 }]);
    }

    async fn a_trail_that_was_written_anew_without_the_key_is_named(database: Database) {
        let statements = format!("UPDATE audit SET actor_name = 'Bert' WHERE id = 2; {}", rehash(1));
        let found = tampered(&database, &statements).await;
        assert_eq!(found, [Finding::Rewritten { id: 5 }, Finding::Rewritten { id: 8 }]);
    }

    async fn forged_checkpoints_are_named(database: Database) {
        let statements = format!(
            "UPDATE audit SET actor_name = 'Bert' WHERE id = 2; {}
             UPDATE audit_checkpoint SET hash = (SELECT hash FROM audit WHERE id = audit_id)",
            rehash(1)
        );
        let found = tampered(&database, &statements).await;
        assert_eq!(found, [Finding::Forged { checkpoint: 1, id: 5 }, Finding::Forged { checkpoint: 2, id: 8 }]);
    }

    async fn a_missing_checkpoint_is_named(database: Database) {
        let found = tampered(&database, "DELETE FROM audit_checkpoint WHERE number = 1").await;
        assert_eq!(found, [Finding::CheckpointsMissing { first: 1, last: 1 }]);
    }

    /// Without any checkpoint the tables fit each other; but old entries that nobody has signed are suspicious, and a mark
    /// that was kept elsewhere knows better.
    async fn a_trail_without_checkpoints_is_told_by_its_age_and_by_a_mark_kept_elsewhere(database: Database) {
        let store = database.store();
        add(store, 4).await;
        let kept = checkpoint(store).await;
        let client = database.client().await.unwrap();
        let forge = format!(
            "DELETE FROM audit_checkpoint; UPDATE audit SET actor_name = 'Bert', at = at - interval '1 day' WHERE id = 2; {}",
            rehash(1)
        );
        client.batch_execute(&forge).await.unwrap();
        assert_eq!(verify(store, &[]).await.findings, []);
        assert_eq!(verify(store, std::slice::from_ref(&kept)).await.findings, [Finding::Rewritten { id: 4 }]);
        client.batch_execute(&format!("UPDATE audit SET at = at - interval '1 day'; {}", rehash(1))).await.unwrap();
        assert_eq!(verify(store, &[]).await.findings, [Finding::Unsigned { first: 1, last: 4 }]);
        client
            .batch_execute("DELETE FROM audit WHERE id > 3; UPDATE audit_head SET (id, hash) = (SELECT id, hash FROM audit WHERE id = 3)")
            .await
            .unwrap();
        let found = verify(store, &[kept]).await.findings;
        assert_eq!(found, [Finding::Truncated { first: 4, last: 4 }, Finding::Unsigned { first: 1, last: 3 }]);
    }

    async fn a_missing_or_wrong_head_is_named(database: Database) {
        let found = tampered(&database, "UPDATE audit_head SET id = 9").await;
        assert_eq!(found, [Finding::HeadBehind { id: 10 }]);
        let client = database.client().await.unwrap();
        client.batch_execute("DELETE FROM audit_head").await.unwrap();
        assert_eq!(verify(database.store(), &[]).await.findings, [Finding::HeadGone]);
        let refused = audit::record(database.store(), &anna(), &Entry::done("x")).await;
        assert!(refused.is_err(), "nothing is done that can't be written down");
    }

    async fn an_invented_entry_before_the_first_is_named(database: Database) {
        let statements = "CREATE TABLE kept AS SELECT * FROM audit WHERE id = 1; UPDATE kept SET id = -5;
            INSERT INTO audit SELECT * FROM kept";
        assert_eq!(tampered(&database, statements).await, [Finding::Invented { id: -5 }]);
    }

    /// Otherwise nothing that has to be written down could be done any more, a login neither.
    async fn acceptance_brings_the_head_back_also_when_everything_is_signed(database: Database) {
        let store = database.store();
        add(store, 3).await;
        checkpoint(store).await;
        let client = database.client().await.unwrap();
        for statement in ["DELETE FROM audit_head", "UPDATE audit_head SET hash = sha256('x')", "UPDATE audit_head SET id = 9"] {
            client.batch_execute(statement).await.unwrap();
            assert_ne!(verify(store, &[]).await.findings, []);
            assert_eq!(audit::checkpoint(store, KEY, Check::Accepted, sign).await.unwrap(), Checkpoint::Unchanged);
            assert_eq!(verify(store, &[]).await.findings, [], "{statement}");
        }
        add(store, 1).await;
        assert_eq!(checkpoint(store).await.audit_id, 4);
    }

    async fn after_a_tail_that_was_cut_off_what_was_accepted_can_be_looked_at_alone(database: Database) {
        let store = database.store();
        let found = tampered(&database, "DELETE FROM audit WHERE id > 6").await;
        assert_eq!(found, [Finding::Truncated { first: 7, last: 10 }]);
        audit::checkpoint(store, KEY, Check::Accepted, sign).await.unwrap();
        add(store, 1).await;
        checkpoint(store).await;
        let report = verify(store, &[]).await;
        assert_eq!((report.findings, report.signed_to), (vec![Finding::Truncated { first: 8, last: 8 }], 7));
        let look = async |after| {
            let genuine = |_, statement: &[u8], signature: &[u8]| signature == sign(statement).as_slice();
            audit::verify(store, &Since { after, known: Vec::new() }, genuine).await.unwrap()
        };
        let report = look(7).await;
        assert_eq!((report.findings, report.checkpoints), (vec![], 0));
        add(store, 2).await;
        checkpoint(store).await;
        let report = look(7).await;
        assert_eq!((report.entries, report.checkpoints, report.findings), (2, 1, vec![]));
        assert_eq!(verify(store, &[]).await.findings, [Finding::Rewritten { id: 8 }]);
        // Who has no key can't make such a checkpoint to hide a cut.
        let forge = "DELETE FROM audit WHERE id > 8; UPDATE audit_head SET (id, hash) = (SELECT id, hash FROM audit WHERE id = 8);
            INSERT INTO audit_checkpoint SELECT 6, 7, a.hash, now(), c.key_id, c.signature
            FROM audit a, audit_checkpoint c WHERE a.id = 7 AND c.number = 4";
        database.client().await.unwrap().batch_execute(forge).await.unwrap();
        assert_eq!(look(7).await.findings, [Finding::Truncated { first: 9, last: 9 }]);
    }

    async fn checkpoints_are_signed_when_there_is_something_new(database: Database) {
        let store = database.store();
        assert_eq!(audit::checkpoint(store, KEY, Check::Since(None), sign).await.unwrap(), Checkpoint::Unchanged);
        add(store, 2).await;
        let first = checkpoint(store).await;
        assert_eq!(first.audit_id, 2);
        assert_eq!(audit::checkpoint(store, KEY, Check::Since(Some(&first)), sign).await.unwrap(), Checkpoint::Unchanged);
        assert_eq!(audit::signing_keys(store).await.unwrap(), [KEY]);
        assert_eq!(count(&database, "audit_checkpoint").await, 1);
    }

    /// Signing what does not hang together would make it look genuine.
    async fn nothing_is_signed_over_entries_that_were_tampered_with(database: Database) {
        let store = database.store();
        add(store, 3).await;
        let first = checkpoint(store).await;
        add(store, 3).await;
        let client = database.client().await.unwrap();
        client.batch_execute("UPDATE audit SET code = 1 WHERE id = 5").await.unwrap();
        let tampered = |finding| Checkpoint::Tampered(finding);
        let found = audit::checkpoint(store, KEY, Check::Since(Some(&first)), sign).await.unwrap();
        assert_eq!(found, tampered(Finding::Altered { id: 5 }));
        client.batch_execute("UPDATE audit SET code = 0 WHERE id = 5").await.unwrap();
        let second = checkpoint(store).await;
        // Cut back to the first checkpoint with everything behind it: only who remembers can know.
        client
            .batch_execute(
                "DELETE FROM audit WHERE id > 3; DELETE FROM audit_checkpoint WHERE number > 1;
                 UPDATE audit_head SET (id, hash) = (SELECT id, hash FROM audit WHERE id = 3)",
            )
            .await
            .unwrap();
        assert_eq!(audit::checkpoint(store, KEY, Check::Since(None), sign).await.unwrap(), Checkpoint::Unchanged);
        let found = audit::checkpoint(store, KEY, Check::Since(Some(&second)), sign).await.unwrap();
        assert_eq!(found, tampered(Finding::Missing { first: 6, last: 6 }));
        assert_eq!(verify(store, &[second]).await.findings, [Finding::Truncated { first: 4, last: 6 }]);
    }

    async fn a_part_of_the_trail_can_be_looked_at_alone(database: Database) {
        let found = tampered(&database, "UPDATE audit SET actor_name = 'Bert' WHERE id = 3").await;
        assert_eq!(found, [Finding::Altered { id: 3 }]);
        let since = Since { after: 5, known: Vec::new() };
        let genuine = |_, statement: &[u8], signature: &[u8]| signature == sign(statement).as_slice();
        let report = audit::verify(database.store(), &since, genuine).await.unwrap();
        assert_eq!((report.entries, report.checkpoints, report.findings), (5, 1, vec![]));
    }

    async fn entries_are_found_by_what_is_known_of_them(database: Database) {
        let store = database.store();
        let token = Context { actor: Actor::Token { id: KEY, name: "ci".to_owned(), user: ANNA }, ..anna() };
        let stranger = Context {
            actor: Actor::Anonymous { claimed: "100%_\\".to_owned() },
            remote: "198.51.100.9".to_owned(),
            request_id: "req-2".to_owned(),
        };
        audit::record(store, &anna(), &Entry::done("user.create").on("user", KEY, "Bert")).await.unwrap();
        audit::record(store, &token, &Entry::done("user.delete").on("user", KEY, "Bert")).await.unwrap();
        audit::record(store, &stranger, &Entry::failed("login.failure", 40_101)).await.unwrap();
        audit::record(store, &anna(), &Entry::denied("role.update", 40_301).on("role", 7, "Viewer")).await.unwrap();
        let all = Filter { limit: 50, ..Filter::default() };
        let text = |text: &str| Some(text.to_owned());
        let at = audit::list(store, &all).await.unwrap()[2].at;
        let cases: [(Filter, &[i64]); 15] = [
            (all.clone(), &[4, 3, 2, 1]),
            (Filter { q: text("bert"), ..all.clone() }, &[2, 1]),
            (Filter { q: text("%_\\"), ..all.clone() }, &[3]),
            (Filter { q: text("req-2\0"), ..all.clone() }, &[3]),
            (Filter { actor: text("anna"), ..all.clone() }, &[4, 1]),
            (Filter { actor: text(&ANNA.to_string()), ..all.clone() }, &[4, 2, 1]),
            (Filter { actor: text(&KEY.to_string()), ..all.clone() }, &[2]),
            (Filter { action: text("user."), ..all.clone() }, &[2, 1]),
            (Filter { target_kind: text("role"), ..all.clone() }, &[4]),
            (Filter { target_kind: text("user"), target_id: text(&KEY.to_string()), ..all.clone() }, &[2, 1]),
            (Filter { result: Some(Outcome::Denied), ..all.clone() }, &[4]),
            (Filter { from: Some(at), ..all.clone() }, &[4, 3, 2]),
            (Filter { to: Some(at), ..all.clone() }, &[2, 1]),
            (Filter { before_id: Some(3), ..all.clone() }, &[2, 1]),
            (Filter { limit: 2, ..all.clone() }, &[4, 3]),
        ];
        for (filter, wanted) in cases {
            let found: Vec<i64> = audit::list(store, &filter).await.unwrap().iter().map(|entry| entry.id).collect();
            assert_eq!(found, wanted, "{filter:?}");
        }
    }
}

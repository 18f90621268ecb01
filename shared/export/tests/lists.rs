//! Files of lists in a real database, read back.

#![expect(clippy::unwrap_used, reason = "a test stops at what fails")]

use bytes::Bytes;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::RowAccessor;
use std::collections::BTreeMap;
use uuid::Uuid;
use vmscope_export::{Entities, Error, Export, Format, HistoryQuery, List, Spec};
use vmscope_model::Kind;
use vmscope_model::access::{Effect, Effective, Entry, Grant, Permission, Role, Roles, Scope};
use vmscope_store::series::Function;
use vmscope_store::testing::Database;
use vmscope_store::{on_both_flavors, vm};

/// Virtual machines of the test.
const VMS: i64 = 1_203;

/// Whoever has this permission, everywhere.
fn rights(permission: &str) -> Effective {
    let (grant, role) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let entry = Entry {
        permission: permission.parse::<Permission>().unwrap(),
        effect: Effect::Allow,
    };
    let role_with = Role {
        id: role,
        name: "tester".to_owned(),
        entries: vec![entry],
        parents: Vec::new(),
    };
    let grant = Grant {
        id: grant,
        role,
        scope: Scope::All,
    };
    Effective::of(&[grant], &Roles::new([role_with]))
}

/// Names like formulas, of which one in three is not known to run.
async fn fleet(database: &Database) {
    let statements = format!(
        "INSERT INTO host (uuid, name) VALUES (gen_random_uuid(), '=cmd()');
        INSERT INTO vm (uuid, host_id, name, state, vcpus) SELECT gen_random_uuid(), (SELECT id FROM host), '+' || i,
            CASE WHEN i % 3 > 0 THEN 1 END, i FROM generate_series(1, {VMS}) AS i"
    );
    database
        .client()
        .await
        .unwrap()
        .batch_execute(&statements)
        .await
        .unwrap();
}

/// A whole file, by way of what is written down of it.
async fn file(database: &Database, format: Format, list: List) -> Vec<u8> {
    let written = serde_json::to_string(&Spec { format, list }).unwrap();
    let spec: Spec = serde_json::from_str(&written).unwrap();
    let source = spec.list.open(database.store(), &rights("*")).await.unwrap();
    let mut export = Export::new(source, spec.format).unwrap();
    let total = export.total().await.unwrap();
    let mut file = Vec::new();
    while let Some(piece) = export.next().await.unwrap() {
        assert!(!piece.is_empty());
        file.extend(piece);
    }
    assert!(total.is_none_or(|total| total == export.rows()));
    file
}

on_both_flavors! {
    async fn every_row_is_read_back_from_every_format(database: Database) {
        fleet(&database).await;
        let list = || List::Vms(vm::Filter::default());
        let parquet = file(&database, Format::Parquet, list()).await;
        let reader = SerializedFileReader::new(Bytes::from(parquet)).unwrap();
        let mut read = BTreeMap::new();
        for row in reader.get_row_iter(None).unwrap() {
            let row = row.unwrap();
            let state = row.get_string(4).ok().cloned();
            read.insert(row.get_long(7).unwrap(), (row.get_string(1).unwrap().clone(), row.get_string(3).unwrap().clone(), state));
        }
        let expected: BTreeMap<i64, _> = (1..=VMS)
            .map(|i| (i, (format!("+{i}"), "=cmd()".to_owned(), (i % 3 > 0).then(|| "running".to_owned()))))
            .collect();
        assert_eq!(read, expected);

        let csv = file(&database, Format::Csv, list()).await;
        let mut lines = csv::Reader::from_reader(&*csv);
        for record in lines.records() {
            let record = record.unwrap();
            let (name, host, state) = &expected[&record[7].parse::<i64>().unwrap()];
            assert_eq!((&record[1], &record[3]), (&*format!("'{name}"), &*format!("'{host}")));
            assert_eq!(&record[4], state.as_deref().unwrap_or_default());
        }
        let jsonl = String::from_utf8(file(&database, Format::Jsonl, list()).await).unwrap();
        assert_eq!(jsonl.lines().count(), expected.len());
        for line in jsonl.lines() {
            let row: serde_json::Value = serde_json::from_str(line).unwrap();
            let (name, _, state) = &expected[&row["vcpus"].as_i64().unwrap()];
            assert_eq!((row["name"].as_str(), row["state"].as_str()), (Some(&**name), state.as_deref()));
        }
    }
}

/// Rows out of somebody's reach are nobody's secret by accident: without the permission there is no file at all.
#[tokio::test]
async fn without_rights_there_is_no_file() {
    let database = Database::create(vmscope_store::Flavor::Postgres).await.unwrap();
    let now = "2026-11-22T12:00:00Z".parse().unwrap();
    let history = HistoryQuery {
        entities: Entities::Members {
            group: None,
            hosts: None,
        },
        kind: Kind::Vm,
        metrics: vec!["state".to_owned()],
        from: now,
        to: now,
        step_s: None,
        function: Function::Avg,
    };
    for (list, missing) in [
        (List::Vms(vm::Filter::default()), "vm.read"),
        (List::History(history.clone()), "vm.read"),
        (List::Hosts(vmscope_store::host::Filter::default()), "host.read"),
        (List::Gaps(vmscope_store::gap::Filter::default()), "ledger.read"),
    ] {
        let refused = list.open(database.store(), &rights("system.read")).await;
        assert!(matches!(refused, Err(Error::Forbidden { permission }) if permission == missing));
    }
    let unknown = HistoryQuery {
        metrics: vec!["no_such".to_owned()],
        ..history
    };
    let refused = List::History(unknown).open(database.store(), &rights("*")).await;
    assert!(matches!(refused, Err(Error::UnknownMetric(name)) if name == "no_such"));
}

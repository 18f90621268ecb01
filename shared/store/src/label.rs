//! Labels of virtual machines and hosts, and what follows from them.

use crate::access::{Authority, Change, Failure, Refusal, require};
use crate::audit::{self, Context};
use crate::inventory::guard::Guard;
use crate::inventory::plan::Moves;
use crate::inventory::{Graph, Which, load, refresh};
use crate::{Error, Store};
use serde_json::json;
use std::collections::HashMap;
use tokio_postgres::GenericClient;
use vmscope_model::HostId;
use vmscope_model::label::{Labels, MAX_LABELS, is_key, is_value};
use vmscope_model::rule::Facts;

/// The labels of these virtual machines, by database id; those without any are left out.
///
/// # Errors
/// The database's failures.
pub async fn of_vms(store: &Store, vms: &[i32]) -> Result<HashMap<i32, Labels>, Error> {
    const LABELS_OF_VMS: &str = "\
-- labels_of_vms
SELECT vm_id, key, value FROM vm_label WHERE vm_id = ANY ($1)";
    of(store, LABELS_OF_VMS, "labels_of_vms", vms).await
}

/// The labels of these hosts, by database id; those without any are left out.
///
/// # Errors
/// The database's failures.
pub async fn of_hosts(store: &Store, hosts: &[i32]) -> Result<HashMap<i32, Labels>, Error> {
    const LABELS_OF_HOSTS: &str = "\
-- labels_of_hosts
SELECT host_id, key, value FROM host_label WHERE host_id = ANY ($1)";
    of(store, LABELS_OF_HOSTS, "labels_of_hosts", hosts).await
}

async fn of(
    store: &Store,
    statement: &str,
    name: &'static str,
    ids: &[i32],
) -> Result<HashMap<i32, Labels>, Error> {
    let client = store.get().await?;
    let rows = client
        .query(statement, &[&ids])
        .await
        .map_err(Error::statement(name))?;
    let mut labels: HashMap<i32, Labels> = HashMap::new();
    for row in &rows {
        let of_one = labels.entry(row.get(0)).or_default();
        of_one.insert(row.get(1), row.get(2));
    }
    Ok(labels)
}

/// Whether a thing may have these labels.
pub(crate) fn are_allowed(labels: &Labels) -> bool {
    labels.len() <= MAX_LABELS && labels.iter().all(|(key, value)| is_key(key) && is_value(value))
}

/// Gives a host these labels instead of those that it has; gives those before.
///
/// Rules look at them: its machines come and go, also those that will be on it one day. So nobody writes what a rule looks at who
/// does not hold everywhere what roles say within its group.
///
/// # Errors
/// [`Refusal::Unknown`], [`Refusal::Malformed`] for labels that nothing can have, [`Refusal::Escalation`], or the database's failures.
pub async fn set_host(
    store: &Store,
    context: &Context,
    by: Authority<'_>,
    host: HostId,
    labels: &Labels,
) -> Result<Labels, Failure> {
    const FIND_HOST_TO_LABEL: &str = "\
-- find_host_to_label
SELECT id, name FROM host WHERE uuid = $1";
    if !are_allowed(labels) {
        return Err(Refusal::Malformed("labels".to_owned()).into());
    }
    let mut client = store.get().await?;
    let change = Change::begin(&mut client, context).await?;
    let client = &*change.transaction;
    refresh::lock(client).await?;
    let row = client
        .query_opt(FIND_HOST_TO_LABEL, &[&host.0])
        .await
        .map_err(Error::statement("find_host_to_label"))?;
    let row = row.ok_or(Refusal::Unknown("host"))?;
    let (host_id, name): (i32, String) = (row.get(0), row.get(1));
    let (graph, guard) = (Graph::load(client).await?, Guard::of(client, by).await?);
    let before = write_host(client, host_id, labels).await?;
    if before == *labels {
        return Ok(before);
    }
    let facts = Facts {
        host: Some(name.clone()),
        host_labels: before.clone(),
        ..Facts::default()
    };
    require(guard.lacks_to_label_host(&facts, labels, &graph))?;
    let mut moves = Moves::default();
    // With the labels that have just been written.
    for vm in load(client, Which::OnHosts(&[host_id])).await? {
        let after = vm.placed_by(&graph);
        require(guard.lacks_for(&vm, &after))?;
        moves.add(&vm, &after);
    }
    moves.write(client).await?;
    let entry = audit::Entry::done("host.label").on("host", host, name);
    let entry = entry.changing(
        Some(json!({ "labels": before })),
        Some(json!({ "labels": labels })),
    );
    change.commit(&entry).await?;
    Ok(before)
}

async fn write_host(client: &impl GenericClient, host_id: i32, labels: &Labels) -> Result<Labels, Failure> {
    const UNLABEL_HOST: &str = "\
-- unlabel_host
DELETE FROM host_label WHERE host_id = $1 RETURNING key, value";
    const LABEL_HOST: &str = "\
-- label_host
INSERT INTO host_label (host_id, key, value) SELECT $1, * FROM unnest($2::text[], $3::text[])";
    let before = client
        .query(UNLABEL_HOST, &[&host_id])
        .await
        .map_err(Error::statement("unlabel_host"))?;
    let (keys, values): (Vec<&str>, Vec<&str>) = labels
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .unzip();
    client
        .execute(LABEL_HOST, &[&host_id, &keys, &values])
        .await
        .map_err(Failure::statement("label_host"))?;
    Ok(before.iter().map(|row| (row.get(0), row.get(1))).collect())
}

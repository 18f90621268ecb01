//! Machines that people enter, because no agent sees them.
//!
//! The web servers' role writes them by functions of the database that touch no other ones.

use crate::access::{Authority, Change as Changing, Failure, Refusal, require};
use crate::audit::{self, Context};
use crate::inventory::guard::Guard;
use crate::inventory::plan::{Moves, write_search};
use crate::inventory::{Graph, Placed, Which, load, refresh};
use crate::label::are_allowed;
use crate::{Error, Store};
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;
use tokio_postgres::GenericClient;
use uuid::Uuid;
use vmscope_model::label::Labels;
use vmscope_model::rule::Facts;
use vmscope_model::{HostId, VmId};

/// A manual machine as it is to be.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Definition {
    /// Its name.
    pub name: String,
    /// What somebody wrote about it.
    pub description: String,
    /// Where it is, if anywhere.
    pub host: Option<HostId>,
    /// Its labels.
    pub labels: Labels,
}

/// What is to be another thing about a manual machine.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Change {
    /// Its name.
    pub name: Option<String>,
    /// What somebody wrote about it.
    pub description: Option<String>,
    /// Where it is, if anywhere.
    pub host: Option<Option<HostId>>,
}

/// Enters a machine. Rules put it into their groups, so nobody does that who may not do everywhere what roles say within them.
///
/// # Errors
/// [`Refusal::Unknown`] for the host, [`Refusal::Malformed`], [`Refusal::Escalation`], or the database's failures.
pub async fn create(
    store: &Store,
    context: &Context,
    by: Authority<'_>,
    definition: &Definition,
) -> Result<VmId, Failure> {
    const ADD_MANUAL: &str = "\
-- add_manual
SELECT vm_add_manual($1, $2, $3, $4)";
    const LABEL_MANUAL: &str = "\
-- label_manual
INSERT INTO vm_label (vm_id, key, value) SELECT $1, * FROM unnest($2::text[], $3::text[])";
    if !are_allowed(&definition.labels) {
        return Err(Refusal::Malformed("labels".to_owned()).into());
    }
    let mut client = store.get().await?;
    let change = Changing::begin(&mut client, context).await?;
    let client = &*change.transaction;
    refresh::lock(client).await?;
    let id = VmId(Uuid::new_v4());
    let host = host_number(client, definition.host).await?;
    let row = client
        .query_one(
            ADD_MANUAL,
            &[&id.0, &host, &definition.name, &definition.description],
        )
        .await
        .map_err(Failure::statement("add_manual"))?;
    let number: i32 = row.get(0);
    let (graph, guard) = (Graph::load(client).await?, Guard::of(client, by).await?);
    let before = only(client, number).await?;
    let after = before
        .changed(&graph, &guard, definition.labels.clone(), &BTreeSet::new())
        .map_err(Refusal::Escalation)?;
    require(guard.lacks_for_ever(after.groups()))?;
    let (keys, values): (Vec<&str>, Vec<&str>) = definition
        .labels
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .unzip();
    client
        .execute(LABEL_MANUAL, &[&number, &keys, &values])
        .await
        .map_err(Failure::statement("label_manual"))?;
    settle(client, &before, &after).await?;
    let entry = audit::Entry::done("vm.create").on("vm", id, &definition.name);
    let made = describe(&after.facts, &definition.description);
    change.commit(&entry.changing(None, Some(made))).await?;
    Ok(id)
}

/// Changes a manual machine. Who puts it onto another host, which its groups' roles then reach, must hold everywhere what they say.
///
/// # Errors
/// [`Refusal::Unknown`] for the machine or the host, [`Refusal::NotManual`], [`Refusal::Malformed`], [`Refusal::Escalation`], or the
/// database's failures.
pub async fn change(
    store: &Store,
    context: &Context,
    by: Authority<'_>,
    id: VmId,
    wanted: &Change,
) -> Result<(), Failure> {
    const CHANGE_MANUAL: &str = "\
-- change_manual
SELECT vm_change_manual($1, $2, $3, $4)";
    let mut client = store.get().await?;
    let change = Changing::begin(&mut client, context).await?;
    let client = &*change.transaction;
    refresh::lock(client).await?;
    let found = find(client, id).await?;
    let host = match wanted.host {
        Some(host) => host_number(client, host).await?,
        None => found.host,
    };
    let name = wanted.name.as_ref().unwrap_or(&found.name);
    let description = wanted.description.as_ref().unwrap_or(&found.description);
    let before = only(client, found.number).await?;
    client
        .execute(CHANGE_MANUAL, &[&found.number, &host, name, description])
        .await
        .map_err(Failure::statement("change_manual"))?;
    let mut after = only(client, found.number).await?;
    let graph = Graph::load(client).await?;
    after.members = after.placed_by(&graph);
    let guard = Guard::of(client, by).await?;
    require(guard.lacks_for(&before, &after.members))?;
    if host != found.host {
        require(guard.lacks_for_ever(before.groups().union(&after.groups()).copied()))?;
    }
    settle(client, &before, &after).await?;
    let entry = audit::Entry::done("vm.update").on("vm", id, name);
    let entry = entry.changing(
        Some(describe(&before.facts, &found.description)),
        Some(describe(&after.facts, description)),
    );
    change.commit(&entry).await
}

/// Deletes a manual machine.
///
/// # Errors
/// [`Refusal::Unknown`], [`Refusal::NotManual`], or the database's failures.
pub async fn delete(store: &Store, context: &Context, id: VmId) -> Result<(), Failure> {
    const REMOVE_MANUAL: &str = "\
-- remove_manual
SELECT vm_remove_manual($1)";
    let mut client = store.get().await?;
    let change = Changing::begin(&mut client, context).await?;
    let client = &*change.transaction;
    refresh::lock(client).await?;
    let found = find(client, id).await?;
    let before = only(client, found.number).await?;
    client
        .execute(REMOVE_MANUAL, &[&found.number])
        .await
        .map_err(Error::statement("remove_manual"))?;
    let entry = audit::Entry::done("vm.delete").on("vm", id, &found.name);
    let gone = describe(&before.facts, &found.description);
    change.commit(&entry.changing(Some(gone), None)).await
}

/// A manual machine's row.
struct Found {
    number: i32,
    host: Option<i32>,
    name: String,
    description: String,
}

async fn find(client: &impl GenericClient, id: VmId) -> Result<Found, Failure> {
    const FIND_MANUAL: &str = "\
-- find_manual
SELECT id, host_id, name, description, manual FROM vm WHERE uuid = $1";
    let row = client
        .query_opt(FIND_MANUAL, &[&id.0])
        .await
        .map_err(Error::statement("find_manual"))?;
    let row = row.ok_or(Refusal::Unknown("vm"))?;
    if !row.get::<_, bool>(4) {
        return Err(Refusal::NotManual.into());
    }
    Ok(Found {
        number: row.get(0),
        host: row.get(1),
        name: row.get(2),
        description: row.get(3),
    })
}

async fn host_number(client: &impl GenericClient, host: Option<HostId>) -> Result<Option<i32>, Failure> {
    const FIND_HOST_OF_MANUAL: &str = "\
-- find_host_of_manual
SELECT id FROM host WHERE uuid = $1";
    let Some(host) = host else {
        return Ok(None);
    };
    let row = client
        .query_opt(FIND_HOST_OF_MANUAL, &[&host.0])
        .await
        .map_err(Error::statement("find_host_of_manual"))?;
    Ok(Some(row.ok_or(Refusal::Unknown("host"))?.get(0)))
}

/// The machine as it is in the database now.
async fn only(client: &impl GenericClient, number: i32) -> Result<Placed, Failure> {
    let found = load(client, Which::Numbers(&[number])).await?.pop();
    Ok(found.ok_or(Refusal::Unknown("vm"))?)
}

async fn settle(client: &impl GenericClient, before: &Placed, after: &Placed) -> Result<(), Error> {
    let mut moves = Moves::default();
    moves.add(before, &after.members);
    moves.write(client).await?;
    write_search(client, &[after.number]).await
}

fn describe(facts: &Facts, description: &str) -> Json {
    json!({
        "name": facts.name, "description": description, "host": facts.host, "labels": facts.labels,
    })
}

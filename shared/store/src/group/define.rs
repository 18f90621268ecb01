//! The rule and the parts of a group, and who comes and goes by them.

use super::Definition;
use crate::Error;
use crate::access::{Authority, Failure, Refusal, require};
use crate::inventory::guard::Guard;
use crate::inventory::plan::settle;
use crate::inventory::{Graph, Placed, Which, load, refresh};
use std::collections::BTreeSet;
use tokio_postgres::GenericClient;
use uuid::Uuid;
use vmscope_model::rule::Rule;

/// Writes the rule and the parts, and puts the machines where they belong by them.
pub(super) async fn define(
    client: &impl GenericClient,
    by: Authority<'_>,
    group: Uuid,
    definition: &Definition,
) -> Result<(), Failure> {
    if definition.rule.is_none() && definition.children.is_none() {
        return Ok(());
    }
    refresh::lock(client).await?;
    let before = Graph::load(client).await?;
    let mut after = before.clone();
    let mut changed = false;
    if let Some(text) = &definition.rule {
        changed |= set_rule(client, group, text, &mut after).await?;
    }
    if let Some(children) = &definition.children {
        changed |= set_children(client, group, children, &mut after).await?;
    }
    if !changed {
        return Ok(());
    }
    require(
        Guard::of(client, by)
            .await?
            .lacks_to_define(group, &before, &after),
    )?;
    // Any machine may be concerned: there is no telling which from a rule.
    settle(client, &after, &load(client, Which::All).await?).await?;
    Ok(())
}

async fn set_rule(
    client: &impl GenericClient,
    group: Uuid,
    text: &str,
    graph: &mut Graph,
) -> Result<bool, Failure> {
    const SET_RULE: &str = "\
-- set_rule
UPDATE vm_group SET rule = $2 WHERE id = $1 AND rule IS DISTINCT FROM $2";
    let text = Some(text.trim()).filter(|text| !text.is_empty());
    let rule: Option<Rule> = text
        .map(|text| text.parse().map_err(|_| Refusal::Malformed("rule".to_owned())))
        .transpose()?;
    graph.set_rule(group, rule);
    let rows = client
        .execute(SET_RULE, &[&group, &text])
        .await
        .map_err(Failure::statement("set_rule"))?;
    Ok(rows > 0)
}

async fn set_children(
    client: &impl GenericClient,
    group: Uuid,
    children: &[Uuid],
    graph: &mut Graph,
) -> Result<bool, Failure> {
    const KNOWN_GROUPS: &str = "\
-- known_groups
SELECT id FROM vm_group WHERE id = ANY ($1)";
    const DROP_PARTS: &str = "\
-- drop_parts
DELETE FROM vm_group_child WHERE parent_id = $1 AND NOT child_id = ANY ($2)";
    const ADD_PARTS: &str = "\
-- add_parts
INSERT INTO vm_group_child (parent_id, child_id) SELECT $1, unnest($2::uuid[]) ON CONFLICT DO NOTHING";
    let mut children = children.to_vec();
    children.sort_unstable();
    children.dedup();
    let known = client
        .query(KNOWN_GROUPS, &[&children])
        .await
        .map_err(Error::statement("known_groups"))?;
    if known.len() < children.len() {
        return Err(Refusal::Unknown("part").into());
    }
    graph.set_children(group, &children);
    if graph.above([group]).contains(&group) {
        return Err(Refusal::Cycle.into());
    }
    let dropped = client
        .execute(DROP_PARTS, &[&group, &children])
        .await
        .map_err(Error::statement("drop_parts"))?;
    let added = client
        .execute(ADD_PARTS, &[&group, &children])
        .await
        .map_err(Error::statement("add_parts"))?;
    Ok(dropped + added > 0)
}

/// Takes all machines out of a group that is about to go, and so out of those that it is a part of.
pub(super) async fn empty(
    client: &impl GenericClient,
    by: Authority<'_>,
    group: Uuid,
) -> Result<(), Failure> {
    refresh::lock(client).await?;
    let mut graph = Graph::load(client).await?;
    let vms = load(client, Which::In(&[group])).await?;
    let guard = Guard::of(client, by).await?;
    let parents: Vec<Uuid> = graph.above([group]).into_iter().collect();
    graph.remove(group);
    let without = |vm: &Placed| {
        let direct: BTreeSet<Uuid> = vm.direct().into_iter().filter(|one| *one != group).collect();
        graph.place(&vm.facts, &direct)
    };
    require(
        vms.iter()
            .filter_map(|vm| guard.lacks_for(vm, &without(vm)))
            .min(),
    )?;
    let vms: Vec<Placed> = vms
        .into_iter()
        .map(|mut vm| {
            // The group's own rows go with it.
            vm.members.retain(|(one, _)| *one != group);
            vm
        })
        .collect();
    if !parents.is_empty() {
        settle(client, &graph, &vms).await?;
    }
    Ok(())
}

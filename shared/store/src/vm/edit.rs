//! Labels and groups of many virtual machines at once.

use crate::access::{Authority, Change, Failure};
use crate::audit::{self, Context};
use crate::inventory::guard::Guard;
use crate::inventory::plan::{Moves, write_search};
use crate::inventory::{Graph, Placed, Which, load, refresh};
use crate::label::are_allowed;
use crate::{Error, Store};
use serde_json::{Value as Json, json};
use std::collections::{BTreeSet, HashMap};
use tokio_postgres::GenericClient;
use uuid::Uuid;
use vmscope_model::VmId;
use vmscope_model::access::{Permission, Reach};
use vmscope_model::label::Labels;

/// What is to become of each machine.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Edit {
    /// Its labels.
    pub labels: LabelEdit,
    /// The groups that it is put into.
    pub add: BTreeSet<Uuid>,
    /// The groups that it is taken out of.
    pub remove: BTreeSet<Uuid>,
}

/// What is to become of labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LabelEdit {
    /// The others stay.
    Change {
        /// To be written.
        set: Labels,
        /// Keys to be removed, before.
        remove: BTreeSet<String>,
    },
    /// There are no others.
    Replace(Labels),
}

impl Default for LabelEdit {
    fn default() -> Self {
        Self::Change {
            set: Labels::new(),
            remove: BTreeSet::new(),
        }
    }
}

impl LabelEdit {
    fn apply(&self, labels: &Labels) -> Labels {
        match self {
            Self::Replace(labels) => labels.clone(),
            Self::Change { set, remove } => {
                let kept = labels.iter().filter(|(key, _)| !remove.contains(*key));
                kept.chain(set)
                    .map(|(key, value)| (key.clone(), value.clone()))
                    .collect()
            }
        }
    }
}

/// What became of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edited {
    /// It is as it was to be.
    Done,
    /// It was so before.
    Unchanged,
    /// There is none that the acting one may see.
    Unknown,
    /// The acting one may not, because he lacks this.
    Denied(Permission),
    /// It can't have these labels: they are too many, or malformed.
    Malformed,
}

/// Edits these machines, each as a whole or not at all; says what became of each, in their order.
///
/// `seen` is what the acting one may see, and `write` what he may label. Which groups he may change is not asked here.
///
/// # Errors
/// The database's failures.
pub async fn edit(
    store: &Store,
    context: &Context,
    by: Authority<'_>,
    vms: &[VmId],
    edit: &Edit,
    (seen, write): (&Reach, (&Reach, &Permission)),
) -> Result<Vec<(VmId, Edited)>, Failure> {
    let mut client = store.get().await?;
    let change = Change::begin(&mut client, context).await?;
    let client = &*change.transaction;
    refresh::lock(client).await?;
    let (graph, guard) = (Graph::load(client).await?, Guard::of(client, by).await?);
    let ids: Vec<Uuid> = vms.iter().map(|vm| vm.0).collect();
    let found = load(client, Which::Ids(&ids)).await?;
    let mut results = HashMap::new();
    let mut edits = Edits::default();
    for vm in found.iter().filter(|vm| seen.includes(&vm.subject())) {
        let result = if write.0.includes(&vm.subject()) {
            edits.take(vm, edit, &graph, &guard)
        } else {
            Edited::Denied(write.1.clone())
        };
        results.insert(vm.id, result);
    }
    let results: Vec<(VmId, Edited)> = vms
        .iter()
        .map(|vm| (*vm, results.get(vm).cloned().unwrap_or(Edited::Unknown)))
        .collect();
    if edits.vms.is_empty() {
        return Ok(results);
    }
    edits.write(client).await?;
    change.commit(&edits.entry(edit, &results)).await?;
    Ok(results)
}

/// What is to be written.
#[derive(Default)]
struct Edits {
    vms: Vec<(Placed, Placed)>,
    moves: Moves,
}

impl Edits {
    fn take(&mut self, vm: &Placed, edit: &Edit, graph: &Graph, guard: &Guard<'_>) -> Edited {
        let labels = edit.labels.apply(&vm.facts.labels);
        let mut direct: BTreeSet<Uuid> = vm.direct().difference(&edit.remove).copied().collect();
        direct.extend(&edit.add);
        if labels == vm.facts.labels && direct == vm.direct() {
            return Edited::Unchanged;
        }
        if !are_allowed(&labels) {
            return Edited::Malformed;
        }
        match vm.changed(graph, guard, labels, &direct) {
            Err(lacking) => Edited::Denied(lacking),
            Ok(after) => {
                self.moves.add(vm, &after.members);
                self.vms.push((vm.clone(), after));
                Edited::Done
            }
        }
    }

    async fn write(&self, client: &impl GenericClient) -> Result<(), Failure> {
        const UNLABEL_VMS: &str = "\
-- unlabel_vms
DELETE FROM vm_label WHERE vm_id = ANY ($1)";
        const LABEL_VMS: &str = "\
-- label_vms
INSERT INTO vm_label (vm_id, key, value) SELECT * FROM unnest($1::int4[], $2::text[], $3::text[])";
        let relabelled = self
            .vms
            .iter()
            .filter(|(before, after)| before.facts.labels != after.facts.labels);
        let (mut numbers, mut ids, mut keys, mut values) = (vec![], vec![], vec![], vec![]);
        for (_, after) in relabelled {
            numbers.push(after.number);
            for (key, value) in &after.facts.labels {
                ids.push(after.number);
                keys.push(key.as_str());
                values.push(value.as_str());
            }
        }
        client
            .execute(UNLABEL_VMS, &[&numbers])
            .await
            .map_err(Error::statement("unlabel_vms"))?;
        client
            .execute(LABEL_VMS, &[&ids, &keys, &values])
            .await
            .map_err(Failure::statement("label_vms"))?;
        self.moves.write(client).await?;
        write_search(client, &numbers).await?;
        Ok(())
    }

    /// What the audit trail says of it.
    fn entry(&self, edit: &Edit, results: &[(VmId, Edited)]) -> audit::Entry {
        let labels = |vms: &mut dyn Iterator<Item = &Placed>| -> Json {
            vms.map(|vm| (vm.id.to_string(), json!(vm.facts.labels)))
                .collect::<serde_json::Map<String, Json>>()
                .into()
        };
        let before = labels(&mut self.vms.iter().map(|(before, _)| before));
        let after = labels(&mut self.vms.iter().map(|(_, after)| after));
        let denied = results
            .iter()
            .filter(|(_, result)| matches!(result, Edited::Denied(_)))
            .map(|(vm, _)| vm.to_string());
        let after = json!({
            "labels": after, "added_to": edit.add, "removed_from": edit.remove, "denied": denied.collect::<Vec<_>>(),
        });
        let entry = audit::Entry::done("vm.edit");
        let entry = match self.vms.as_slice() {
            [(vm, _)] => entry.on("vm", vm.id, &vm.facts.name),
            _ => entry,
        };
        entry.changing(Some(json!({ "labels": before })), Some(after))
    }
}

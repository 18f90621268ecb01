//! Whether somebody may move machines among groups.
//!
//! What is in a group comes under all that roles say within it. So who moves a machine into one, directly, by a label that
//! a rule looks at, or through a group within it, must be able to do with the machine, **as it is before**, all that somebody
//! gets; and who takes it out, all that somebody is denied there.
//!
//! What goes on working when nobody acts is looked at with all that may come of it. A **rule** or a **part** of a group works on machines
//! that nobody has seen yet, and so does a **label of a host**: who changes one must hold all that everywhere. A **label of a machine** may
//! put it into a group when its host or name changes: who writes it must hold all that for the machine, if there is a host and a name
//! with which it would.

use super::state::{Placed, groups};
use super::{Graph, Source};
use crate::access::Authority;
use crate::{Error, grant, role};
use std::collections::{BTreeSet, HashMap};
use tokio_postgres::GenericClient;
use uuid::Uuid;
use vmscope_model::access::{Effect, Effective, Grant, Permission, Roles, Scope};
use vmscope_model::label::Labels;
use vmscope_model::rule::{Facts, Field};

/// What roles say within each group, beside what the acting one may do.
pub(crate) struct Guard<'a> {
    holder: Option<&'a Effective>,
    roles: Roles,
    grants: HashMap<Uuid, Vec<Grant>>,
    within: HashMap<Uuid, Effective>,
}

impl<'a> Guard<'a> {
    /// What the database says now.
    ///
    /// # Errors
    /// The database's failures.
    pub(crate) async fn of(client: &impl GenericClient, by: Authority<'a>) -> Result<Self, Error> {
        let Authority::Of(holder) = by else {
            return Ok(Self {
                holder: None,
                roles: Roles::default(),
                grants: HashMap::new(),
                within: HashMap::new(),
            });
        };
        let roles = role::load(client).await?;
        let grants = grant::within_groups(client).await?;
        let within = grants
            .iter()
            .map(|(group, grants)| (*group, Effective::of(grants, &roles)))
            .collect();
        Ok(Self {
            holder: Some(holder),
            roles,
            grants,
            within,
        })
    }

    /// What the acting one lacks to move the machine from where it is to `after`.
    pub(crate) fn lacks_for(&self, vm: &Placed, after: &BTreeSet<(Uuid, Source)>) -> Option<Permission> {
        let holder = self.holder?;
        let (before, after, subject) = (vm.groups(), groups(after), vm.subject());
        let lacks = |group: &Uuid, effect| {
            let within = self.within.get(group)?;
            holder.lacks_for(within, effect, &subject)
        };
        let gained = after.difference(&before);
        let lost = before.difference(&after);
        gained
            .filter_map(|group| lacks(group, Effect::Allow))
            .chain(lost.filter_map(|group| lacks(group, Effect::Deny)))
            .min()
    }

    /// What the acting one lacks to give the machine these labels, whatever its name and host will be.
    pub(crate) fn lacks_to_label(&self, vm: &Placed, labels: &Labels, graph: &Graph) -> Option<Permission> {
        let holder = self.holder?;
        let after = Facts {
            labels: labels.clone(),
            ..vm.facts.clone()
        };
        let changed = |field: &Field| match field {
            Field::Label(key) => vm.facts.labels.get(key) != labels.get(key),
            _ => false,
        };
        let known = |field: &Field| matches!(field, Field::Label(_) | Field::Id);
        let subject = vm.subject();
        let mut lacking = BTreeSet::new();
        for (group, rule) in graph.looking_at(changed) {
            let (before, after) = (rule.outcomes(&vm.facts, &known), rule.outcomes(&after, &known));
            let effects = [
                (Effect::Allow, after.yes && before.no),
                (Effect::Deny, before.yes && after.no),
            ];
            for (effect, _) in effects.into_iter().filter(|(_, possible)| *possible) {
                let within = graph
                    .and_above(group)
                    .into_iter()
                    .filter_map(|group| self.within.get(&group));
                lacking.extend(within.filter_map(|within| holder.lacks_for(within, effect, &subject)));
            }
        }
        lacking.pop_first()
    }

    /// What the acting one lacks to give a host with these facts these labels, whatever machines will be on it.
    pub(crate) fn lacks_to_label_host(
        &self,
        host: &Facts,
        labels: &Labels,
        graph: &Graph,
    ) -> Option<Permission> {
        let after = Facts {
            host_labels: labels.clone(),
            ..host.clone()
        };
        let changed = |field: &Field| match field {
            Field::HostLabel(key) => host.host_labels.get(key) != labels.get(key),
            _ => false,
        };
        let known = |field: &Field| matches!(field, Field::Host | Field::HostLabel(_));
        let concerned = graph.looking_at(changed).filter(|(_, rule)| {
            let (before, after) = (rule.outcomes(host, &known), rule.outcomes(&after, &known));
            (after.yes && before.no) || (before.yes && after.no)
        });
        self.lacks_for_ever(concerned.flat_map(|(group, _)| graph.and_above(group)))
    }

    /// What the acting one lacks to say once and for all what is in these groups.
    pub(crate) fn lacks_for_ever(&self, groups: impl IntoIterator<Item = Uuid>) -> Option<Permission> {
        let holder = self.holder?;
        let lacking = |group: Uuid| {
            let everywhere: Vec<Grant> = self
                .grants
                .get(&group)?
                .iter()
                .map(|grant| Grant {
                    scope: Scope::All,
                    ..*grant
                })
                .collect();
            let given = Effective::of(&everywhere, &self.roles);
            holder.lacks(&given).or_else(|| holder.lacks_denied(&given))
        };
        groups.into_iter().filter_map(lacking).min()
    }

    /// What the acting one lacks to change the rule or the parts of a group, before and after in these graphs.
    pub(crate) fn lacks_to_define(&self, group: Uuid, before: &Graph, after: &Graph) -> Option<Permission> {
        let mut concerned = before.and_above(group);
        concerned.extend(after.and_above(group));
        self.lacks_for_ever(concerned)
    }
}

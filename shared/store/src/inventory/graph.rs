//! Rules and parts of all groups, and what follows from them for a machine.

use super::Source;
use crate::Error;
use std::collections::{BTreeMap, BTreeSet};
use tokio_postgres::GenericClient;
use uuid::Uuid;
use vmscope_model::rule::{Facts, Field, Rule};

/// All that puts machines into groups by itself.
#[derive(Debug, Clone, Default)]
pub(crate) struct Graph {
    rules: BTreeMap<Uuid, Rule>,
    /// The groups that each group is a part of.
    parents: BTreeMap<Uuid, BTreeSet<Uuid>>,
}

impl Graph {
    /// What is in the database.
    ///
    /// # Errors
    /// The database's failures.
    pub(crate) async fn load(client: &impl GenericClient) -> Result<Self, Error> {
        const GROUP_RULES: &str = "\
-- group_rules
SELECT id, rule FROM vm_group WHERE rule IS NOT NULL";
        const GROUP_PARTS: &str = "\
-- group_parts
SELECT child_id, parent_id FROM vm_group_child";
        let mut graph = Self::default();
        let rules = client
            .query(GROUP_RULES, &[])
            .await
            .map_err(Error::statement("group_rules"))?;
        for row in &rules {
            let (group, text): (Uuid, &str) = (row.get(0), row.get(1));
            match text.parse() {
                Ok(rule) => _ = graph.rules.insert(group, rule),
                // Written by a newer build: nobody is in the group by it, and ingest goes on.
                Err(error) => {
                    tracing::warn!(group.id = %group, error = %error, "the rule of a group can't be read");
                }
            }
        }
        let parts = client
            .query(GROUP_PARTS, &[])
            .await
            .map_err(Error::statement("group_parts"))?;
        for row in &parts {
            graph.parents.entry(row.get(0)).or_default().insert(row.get(1));
        }
        Ok(graph)
    }

    /// Whether all members are direct ones.
    pub(crate) fn is_plain(&self) -> bool {
        self.rules.is_empty() && self.parents.is_empty()
    }

    /// Gives a group another rule, or none.
    pub(crate) fn set_rule(&mut self, group: Uuid, rule: Option<Rule>) {
        match rule {
            Some(rule) => _ = self.rules.insert(group, rule),
            None => _ = self.rules.remove(&group),
        }
    }

    /// Makes these the parts of a group.
    pub(crate) fn set_children(&mut self, group: Uuid, children: &[Uuid]) {
        for parents in self.parents.values_mut() {
            parents.remove(&group);
        }
        for child in children {
            self.parents.entry(*child).or_default().insert(group);
        }
        self.parents.retain(|_, parents| !parents.is_empty());
    }

    /// Takes a group out of everything.
    pub(crate) fn remove(&mut self, group: Uuid) {
        self.set_rule(group, None);
        self.set_children(group, &[]);
        self.parents.remove(&group);
    }

    /// The groups that these are parts of, at whatever distance; one of them may be among them.
    pub(crate) fn above(&self, groups: impl IntoIterator<Item = Uuid>) -> BTreeSet<Uuid> {
        let mut above = BTreeSet::new();
        let mut ahead: Vec<Uuid> = groups.into_iter().collect();
        while let Some(group) = ahead.pop() {
            for parent in self.parents.get(&group).into_iter().flatten() {
                if above.insert(*parent) {
                    ahead.push(*parent);
                }
            }
        }
        above
    }

    /// The groups with a rule that looks at a field for which `wanted` holds.
    pub(crate) fn looking_at(&self, wanted: impl Fn(&Field) -> bool) -> impl Iterator<Item = (Uuid, &Rule)> {
        let looking = self.rules.iter().filter(move |(_, rule)| rule.looks_at(&wanted));
        looking.map(|(group, rule)| (*group, rule))
    }

    /// A group, and those that it is a part of.
    pub(crate) fn and_above(&self, group: Uuid) -> BTreeSet<Uuid> {
        let mut groups = self.above([group]);
        groups.insert(group);
        groups
    }

    /// The groups that a machine is in, and why: somebody has put it into those of `direct`.
    pub(crate) fn place(&self, facts: &Facts, direct: &BTreeSet<Uuid>) -> BTreeSet<(Uuid, Source)> {
        let by_rule = || {
            let matching = self.rules.iter().filter(|(_, rule)| rule.matches(facts));
            matching.map(|(group, _)| *group)
        };
        let nested = self.above(direct.iter().copied().chain(by_rule()));
        let with = |source| move |group: Uuid| (group, source);
        (direct.iter().copied().map(with(Source::Direct)))
            .chain(by_rule().map(with(Source::Rule)))
            .chain(nested.into_iter().map(with(Source::Nested)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(number: u128) -> Uuid {
        Uuid::from_u128(number)
    }

    #[test]
    fn a_machine_is_in_whatever_contains_one_of_its_groups() {
        let mut graph = Graph::default();
        graph.set_rule(group(1), Some("name = a".parse().expect("a rule")));
        graph.set_children(group(2), &[group(1), group(5)]);
        graph.set_children(group(3), &[group(2)]);
        let facts = Facts {
            name: "a".to_owned(),
            ..Facts::default()
        };
        let placed = graph.place(&facts, &BTreeSet::from([group(3), group(4)]));
        let expected = [
            (group(1), Source::Rule),
            (group(2), Source::Nested),
            (group(3), Source::Direct),
            (group(3), Source::Nested),
            (group(4), Source::Direct),
        ];
        assert_eq!(placed, BTreeSet::from(expected));
        graph.remove(group(2));
        assert_eq!(
            graph.place(&facts, &BTreeSet::new()),
            BTreeSet::from([(group(1), Source::Rule)])
        );
        assert!(!graph.is_plain());
        graph.set_rule(group(1), None);
        assert!(graph.is_plain());
    }

    #[test]
    fn a_circle_ends() {
        let mut graph = Graph::default();
        graph.set_children(group(1), &[group(2)]);
        graph.set_children(group(2), &[group(1)]);
        assert_eq!(graph.above([group(1)]), BTreeSet::from([group(1), group(2)]));
    }
}

//! Changes by people: what they come to for each machine, whether they may, and writing them.

use super::guard::Guard;
use super::state::Placed;
use super::{Graph, Source};
use crate::Error;
use std::collections::BTreeSet;
use tokio_postgres::GenericClient;
use uuid::Uuid;
use vmscope_model::access::Permission;
use vmscope_model::label::Labels;

/// Where machines come to be in other groups than they are.
#[derive(Debug, Default)]
pub(crate) struct Moves {
    into: (Vec<Uuid>, Vec<i32>, Vec<&'static str>),
    out_of: (Vec<Uuid>, Vec<i32>, Vec<&'static str>),
}

impl Moves {
    /// The machine is to be in `after`.
    pub(crate) fn add(&mut self, vm: &Placed, after: &BTreeSet<(Uuid, Source)>) {
        let push = |list: &mut (Vec<Uuid>, Vec<i32>, Vec<&'static str>), member: &(Uuid, Source)| {
            list.0.push(member.0);
            list.1.push(vm.number);
            list.2.push(member.1.name());
        };
        for member in after.difference(&vm.members) {
            push(&mut self.into, member);
        }
        for member in vm.members.difference(after) {
            push(&mut self.out_of, member);
        }
    }

    /// Writes them; says how many there were.
    ///
    /// # Errors
    /// The database's failures.
    pub(crate) async fn write(&self, client: &impl GenericClient) -> Result<usize, Error> {
        const MOVE_INTO: &str = "\
-- move_into
INSERT INTO vm_group_member (group_id, vm_id, source) SELECT * FROM unnest($1::uuid[], $2::int4[], $3::text[])
ON CONFLICT DO NOTHING";
        const MOVE_OUT_OF: &str = "\
-- move_out_of
DELETE FROM vm_group_member m USING unnest($1::uuid[], $2::int4[], $3::text[]) AS o (group_id, vm_id, source)
WHERE m.group_id = o.group_id AND m.vm_id = o.vm_id AND m.source = o.source";
        let (groups, vms, sources) = &self.out_of;
        if !vms.is_empty() {
            client
                .execute(MOVE_OUT_OF, &[groups, vms, sources])
                .await
                .map_err(Error::statement("move_out_of"))?;
        }
        let (groups, vms, sources) = &self.into;
        if !vms.is_empty() {
            client
                .execute(MOVE_INTO, &[groups, vms, sources])
                .await
                .map_err(Error::statement("move_into"))?;
        }
        Ok(self.into.1.len() + self.out_of.1.len())
    }
}

impl Placed {
    /// The machine with these labels, put by somebody into these groups alone.
    ///
    /// # Errors
    /// What the acting one lacks for it.
    pub(crate) fn changed(
        &self,
        graph: &Graph,
        guard: &Guard<'_>,
        labels: Labels,
        direct: &BTreeSet<Uuid>,
    ) -> Result<Self, Permission> {
        if let Some(lacking) = guard.lacks_to_label(self, &labels, graph) {
            return Err(lacking);
        }
        let mut after = self.clone();
        after.facts.labels = labels;
        after.members = graph.place(&after.facts, direct);
        guard.lacks_for(self, &after.members).map_or(Ok(after), Err)
    }
}

/// Puts each of these machines where the graph says.
///
/// # Errors
/// The database's failures.
pub(crate) async fn settle(
    client: &impl GenericClient,
    graph: &Graph,
    vms: &[Placed],
) -> Result<usize, Error> {
    let mut moves = Moves::default();
    for vm in vms {
        moves.add(vm, &vm.placed_by(graph));
    }
    moves.write(client).await
}

/// Writes anew what is looked through when somebody searches for one of these machines.
///
/// # Errors
/// The database's failures.
pub(crate) async fn write_search(client: &impl GenericClient, vms: &[i32]) -> Result<(), Error> {
    const WRITE_SEARCH: &str = "\
-- write_search
INSERT INTO vm_search AS s (vm_id, text)
SELECT v.id, lower(concat_ws(E'\\n', v.name, h.name, v.description,
    (SELECT string_agg(l.key || '=' || l.value, E'\\n' ORDER BY l.key) FROM vm_label l WHERE l.vm_id = v.id),
    g.facts ->> 'host_name',
    (SELECT string_agg(a.address, E'\\n') FROM jsonb_array_elements(g.facts -> 'interfaces') AS i (facts),
        jsonb_array_elements_text(i.facts -> 'addresses') AS a (address))))
FROM vm v LEFT JOIN host h ON h.id = v.host_id LEFT JOIN guest g ON g.vm_id = v.id
WHERE v.id = ANY ($1) ORDER BY v.id
ON CONFLICT (vm_id) DO UPDATE SET text = excluded.text WHERE s.text <> excluded.text";
    client
        .execute(WRITE_SEARCH, &[&vms])
        .await
        .map_err(Error::statement("write_search"))?;
    Ok(())
}

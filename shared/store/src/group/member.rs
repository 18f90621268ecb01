//! Which virtual machines are in a group.

use super::existing;
use crate::access::{Authority, Change, Failure};
use crate::audit::{self, Context};
use crate::{Error, Page, Paging, Store, grant, role};
use serde_json::{Value as Json, json};
use std::collections::{HashMap, HashSet};
use tokio_postgres::{GenericClient, Row};
use uuid::Uuid;
use vmscope_model::access::{Effect, Effective, Reach, Subject};
use vmscope_model::{HostId, VmId};

/// A virtual machine in a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its UUID.
    pub vm: VmId,
    /// Its name.
    pub name: String,
    /// Where it is.
    pub host: HostId,
    /// That host's name.
    pub host_name: String,
    /// Code of its last known state.
    pub state: Option<i16>,
}

/// The virtual machines of a group by name, a page at a time.
///
/// # Errors
/// The database's failures.
pub async fn members(store: &Store, id: Uuid, paging: Paging) -> Result<Page<Member>, Error> {
    const LIST_MEMBERS: &str = "\
-- list_members
SELECT v.uuid, v.name, h.uuid AS host, h.name AS host_name, v.state
FROM vm_group_member m JOIN vm v ON v.id = m.vm_id JOIN host h ON h.id = v.host_id
WHERE m.group_id = $1 ORDER BY lower(v.name), v.id LIMIT $2 OFFSET $3";
    const COUNT_MEMBERS: &str = "\
-- count_members
SELECT count(*) FROM vm_group_member WHERE group_id = $1";
    let client = store.get().await?;
    let rows = client
        .query(LIST_MEMBERS, &[&id, &paging.limit(), &paging.offset()])
        .await
        .map_err(Error::statement("list_members"))?;
    let total = client
        .query_one(COUNT_MEMBERS, &[&id])
        .await
        .map_err(Error::statement("count_members"))?;
    let member = |row: &Row| Member {
        vm: VmId(row.get(0)),
        name: row.get(1),
        host: HostId(row.get(2)),
        host_name: row.get(3),
        state: row.get(4),
    };
    Ok(Page {
        items: rows.iter().map(member).collect(),
        total: total.get(0),
    })
}

/// What is to go into a group and out of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// To be put in.
    pub add: Vec<VmId>,
    /// To be taken out.
    pub remove: Vec<VmId>,
    /// The virtual machines that the acting one may see: others are unknown to him.
    pub reach: Reach,
}

/// What became of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberChange {
    /// It is in now.
    Added,
    /// It was in before.
    AlreadyIn,
    /// It is out now.
    Removed,
    /// It was not in.
    NotIn,
    /// There is none that the acting one may see.
    Unknown,
    /// It would give somebody more than the acting one may do himself with it.
    Denied,
}

/// Puts virtual machines in and takes others out; says what became of each.
///
/// Whoever has a role for the group gets it for what is put in, and loses what it denies for what is taken out. So nobody puts in
/// what he may not himself do all that with, whether or not he may do it with the group's other members; and nobody takes out
/// what such a role denies him.
///
/// # Errors
/// [`Refusal::Unknown`](crate::access::Refusal::Unknown) for the group, or the database's failures.
pub async fn change_members(
    store: &Store,
    context: &Context,
    by: Authority<'_>,
    id: Uuid,
    wanted: &Wanted,
) -> Result<Vec<(VmId, MemberChange)>, Failure> {
    let mut client = store.get().await?;
    let change = Change::begin(&mut client, context).await?;
    let group = existing(&*change.transaction, id).await?;
    let known = visible(&*change.transaction, wanted).await?;
    let rules = Rules::of(&*change.transaction, by, id).await?;
    let permitted = |vms: &[VmId], effect| -> Vec<i32> {
        let found = vms.iter().filter_map(|vm| known.get(vm));
        let permitted = found.filter(|vm| rules.permit(effect, &vm.subject));
        permitted.map(|vm| vm.number).collect()
    };
    let (ins, outs) = (
        permitted(&wanted.add, Effect::Allow),
        permitted(&wanted.remove, Effect::Deny),
    );
    let added = put_in(&*change.transaction, id, &ins).await?;
    let removed = take_out(&*change.transaction, id, &outs).await?;
    let outcome = |vm: &VmId, (tried, done): (&[i32], &HashSet<i32>), yes, no| {
        let change = match known.get(vm).map(|vm| vm.number) {
            None => MemberChange::Unknown,
            Some(number) if done.contains(&number) => yes,
            Some(number) if tried.contains(&number) => no,
            Some(_) => MemberChange::Denied,
        };
        (*vm, change)
    };
    let into = |vm| outcome(vm, (&ins, &added), MemberChange::Added, MemberChange::AlreadyIn);
    let out_of = |vm| outcome(vm, (&outs, &removed), MemberChange::Removed, MemberChange::NotIn);
    let results: Vec<_> = wanted
        .add
        .iter()
        .map(into)
        .chain(wanted.remove.iter().map(out_of))
        .collect();
    if !(added.is_empty() && removed.is_empty()) {
        let entry = audit::Entry::done("group.members").on("group", id, &group.name);
        change
            .commit(&entry.changing(None, Some(describe_changes(&results))))
            .await?;
    }
    Ok(results)
}

fn describe_changes(results: &[(VmId, MemberChange)]) -> Json {
    let of = |wanted: MemberChange| -> Vec<String> {
        let changed = results.iter().filter(|(_, change)| *change == wanted);
        changed.map(|(vm, _)| vm.to_string()).collect()
    };
    json!({ "added": of(MemberChange::Added), "removed": of(MemberChange::Removed) })
}

/// What membership of a group comes to, beside what the acting one may do.
struct Rules<'a> {
    holder: Option<&'a Effective>,
    within: Effective,
}

impl<'a> Rules<'a> {
    async fn of(client: &impl GenericClient, by: Authority<'a>, group: Uuid) -> Result<Self, Error> {
        let Authority::Of(holder) = by else {
            return Ok(Self {
                holder: None,
                within: Effective::default(),
            });
        };
        let roles = role::load(client).await?;
        let within = Effective::of(&grant::within_group(client, group).await?, &roles);
        Ok(Self {
            holder: Some(holder),
            within,
        })
    }

    /// Whether the acting one may do with the subject, as it is now, all that rules of the group with this effect are about.
    fn permit(&self, effect: Effect, subject: &Subject) -> bool {
        self.holder
            .is_none_or(|holder| holder.lacks_for(&self.within, effect, subject).is_none())
    }
}

/// A virtual machine whose membership is to change.
struct Candidate {
    number: i32,
    subject: Subject,
}

/// Those virtual machines that exist and that the acting one may see.
async fn visible(client: &impl GenericClient, wanted: &Wanted) -> Result<HashMap<VmId, Candidate>, Error> {
    const VISIBLE_VMS: &str = "\
-- visible_vms
SELECT v.uuid, v.id, ARRAY(SELECT m.group_id FROM vm_group_member m WHERE m.vm_id = v.id)
FROM vm v WHERE v.uuid = ANY ($1)";
    let vms: Vec<Uuid> = wanted.add.iter().chain(&wanted.remove).map(|vm| vm.0).collect();
    let rows = client
        .query(VISIBLE_VMS, &[&vms])
        .await
        .map_err(Error::statement("visible_vms"))?;
    let candidate = |row: &Row| {
        let subject = Subject::within(row.get::<_, Vec<Uuid>>(2));
        let seen = wanted.reach.includes(&subject);
        seen.then(|| {
            (
                VmId(row.get(0)),
                Candidate {
                    number: row.get(1),
                    subject,
                },
            )
        })
    };
    Ok(rows.iter().filter_map(candidate).collect())
}

async fn put_in(client: &impl GenericClient, group: Uuid, vms: &[i32]) -> Result<HashSet<i32>, Error> {
    const PUT_IN: &str = "\
-- put_in
INSERT INTO vm_group_member (group_id, vm_id) SELECT DISTINCT $1::uuid, unnest($2::int4[]) ON CONFLICT DO NOTHING
RETURNING vm_id";
    let rows = client
        .query(PUT_IN, &[&group, &vms])
        .await
        .map_err(Error::statement("put_in"))?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

async fn take_out(client: &impl GenericClient, group: Uuid, vms: &[i32]) -> Result<HashSet<i32>, Error> {
    const TAKE_OUT: &str = "\
-- take_out
DELETE FROM vm_group_member WHERE group_id = $1 AND vm_id = ANY ($2) RETURNING vm_id";
    let rows = client
        .query(TAKE_OUT, &[&group, &vms])
        .await
        .map_err(Error::statement("take_out"))?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

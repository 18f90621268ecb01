//! Whose history the caller may see.

use crate::api::entity;
use crate::api::gap::VmReference;
use crate::api::vm::HostReference;
use crate::auth::Caller;
use crate::error::{ApiError, Fault, Fields};
use crate::state::App;
use serde::Serialize;
use std::collections::HashSet;
use utoipa::ToSchema;
use vmscope_model::Kind;
use vmscope_model::access::{Reach, Subject};
use vmscope_store::entity::Reference;
use vmscope_store::group;
use vmscope_store::history::among::{self, Among, Sight, Thing};

/// Most things of one answer.
pub(super) const MAX_THINGS: usize = 1000;
/// Most things of a top list.
pub(in crate::api) const MAX_TOP: usize = 100;
/// Most things that are put in order.
const MAX_RANKED: usize = 100_000;

/// A thing that has a history.
#[derive(Debug, Serialize, ToSchema)]
pub struct HistoryEntity {
    /// How the API names it.
    #[schema(example = "vm:5f0c6d0e-6a53-4c4b-9d7e-0d4c6a3b8f11")]
    pub id: String,
    /// Its name; a device's is within its owner.
    pub name: String,
    /// Its host; null for VMs of which that is not known. Gaps of `host:<uuid>` concern everything on it.
    #[schema(required)]
    pub host: Option<HostReference>,
    /// The VM that it is or belongs to; null for hosts and their own devices.
    #[schema(required)]
    pub vm: Option<VmReference>,
}

impl From<&Thing> for HistoryEntity {
    fn from(thing: &Thing) -> Self {
        Self {
            id: entity::format(thing.reference),
            name: thing.name.clone(),
            host: thing.host.as_ref().map(|(id, name)| HostReference {
                id: id.to_string(),
                name: name.clone(),
            }),
            vm: thing.vm.as_ref().map(|(id, name)| VmReference {
                id: id.to_string(),
                name: name.clone(),
            }),
        }
    }
}

/// The things that are asked for; what is out of the caller's reach does not exist for him.
///
/// # Errors
/// [`ApiError::Forbidden`] when he may see no such thing at all, [`ApiError::Fields`] for those that do not exist, [`ApiError::TooMuch`]
/// when there are more than one answer holds and they are not put in order.
pub(in crate::api) async fn find(
    app: &App,
    caller: &Caller,
    kind: Kind,
    among: &Among,
    ranked: bool,
) -> Result<Vec<Thing>, ApiError> {
    let (hosts, vms) = reaches(caller, kind)?;
    if let Among::Group(id) = among {
        let seen = caller.reach("group.read")?.includes(&Subject::within([*id]));
        if !seen || group::get(&app.store, *id).await?.is_none() {
            return Err(ApiError::field("group", Fault::NotFound));
        }
    }
    let sight = Sight {
        hosts: &hosts,
        vms: &vms,
    };
    let most = if ranked { MAX_RANKED } else { MAX_THINGS };
    let things = among::find(&app.store, kind, among, sight, most + 1).await?;
    if things.len() > most {
        return Err(ApiError::TooMuch {
            limit: super::MAX_VALUES,
        });
    }
    if let Among::Things(references) = among {
        refuse_unknown(references, &things)?;
    }
    Ok(things)
}

/// What the caller may see: (hosts, virtual machines).
fn reaches(caller: &Caller, kind: Kind) -> Result<(Reach, Reach), ApiError> {
    match kind {
        Kind::Host => Ok((caller.reach("host.read")?, Reach::Nothing)),
        Kind::Vm => Ok((Reach::Nothing, caller.reach("vm.read")?)),
        Kind::Vcpu | Kind::Disk | Kind::Nic => {
            let hosts = caller.reach_or_nothing("host.read")?;
            let vms = if hosts.is_nothing() {
                caller.reach("vm.read")?
            } else {
                caller.reach_or_nothing("vm.read")?
            };
            Ok((hosts, vms))
        }
    }
}

fn refuse_unknown(references: &[Reference], things: &[Thing]) -> Result<(), ApiError> {
    let found: HashSet<Reference> = things.iter().map(|thing| thing.reference).collect();
    let mut fields = Fields::default();
    for (reference, place) in references.iter().zip(0_usize..) {
        let known = found.contains(reference);
        fields.require(known, &format!("entities[{place}]"), Fault::NotFound);
    }
    fields.check()
}

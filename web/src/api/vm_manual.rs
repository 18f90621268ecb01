//! Virtual machines that people enter, because no agent sees them.

use crate::api::extract::{Body, Id, Nothing, Params};
use crate::api::label;
use crate::api::vm::{VmDetail, detail};
use crate::api::{Empty, Envelope};
use crate::auth::Caller;
use crate::error::{ApiError, Fault, Fields};
use crate::state::App;
use axum::extract::State;
use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;
use vmscope_model::access::Subject;
use vmscope_model::label::Labels;
use vmscope_model::{HostId, VmId};
use vmscope_store::access::{Failure, Refusal};
use vmscope_store::{subject, vm};

/// Most characters of a name.
const MAX_NAME: usize = 128;
/// Most characters of a description.
const MAX_DESCRIPTION: usize = 500;
const WRITE: &str = "vm.write";

/// A virtual machine to be entered.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewVm {
    /// Its name.
    #[schema(min_length = 1, max_length = 128)]
    name: String,
    /// What there is to say about it.
    #[serde(default)]
    #[schema(max_length = 500)]
    description: String,
    /// UUID of its host; nowhere without.
    #[schema(value_type = Option<String>, format = "uuid")]
    host: Option<HostId>,
    /// Its labels.
    #[serde(default)]
    labels: Labels,
}

/// What is to be changed about a manual virtual machine; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VmChange {
    /// Its name.
    #[schema(min_length = 1, max_length = 128)]
    name: Option<String>,
    /// What there is to say about it.
    #[schema(max_length = 500)]
    description: Option<String>,
    /// UUID of its host; null for nowhere.
    #[expect(clippy::option_option, reason = "left out, null and a host are three things")]
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, format = "uuid")]
    host: Option<Option<HostId>>,
}

/// A field that is there, null or not.
#[expect(clippy::option_option, reason = "left out, null and a host are three things")]
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<HostId>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// Refuses a host that the caller may not see.
async fn check_host(app: &App, caller: &Caller, host: Option<HostId>) -> Result<(), ApiError> {
    let Some(host) = host else {
        return Ok(());
    };
    let within = subject::of_hosts(&app.store, &[host]).await?.remove(&host);
    let seen = caller.reach_or_nothing("host.read")?;
    match within.filter(|subject| seen.includes(subject)) {
        Some(_) => Ok(()),
        None => Err(ApiError::field("host", Fault::NotFound)),
    }
}

/// A host that has gone meanwhile is a matter of its field.
fn explain(failure: Failure) -> ApiError {
    match failure {
        Failure::Refused(Refusal::Unknown("host")) => ApiError::field("host", Fault::NotFound),
        other => other.into(),
    }
}

/// Enters a virtual machine that no agent sees. Needs the permission for everything.
#[utoipa::path(post, path = "/vms", tag = "vms", request_body = NewVm,
    responses((status = 200, description = "The VM", body = Envelope<VmDetail>)))]
pub(crate) async fn create_vm(
    State(app): State<App>,
    caller: Caller,
    Body(new): Body<NewVm>,
) -> Result<Envelope<VmDetail>, ApiError> {
    caller.require(WRITE, &Subject::installation())?;
    let mut fields = Fields::default();
    fields.text("name", &new.name, 1, MAX_NAME);
    fields.text("description", &new.description, 0, MAX_DESCRIPTION);
    label::check(&mut fields, "labels", &new.labels);
    fields.check()?;
    check_host(&app, &caller, new.host).await?;
    let definition = vm::Definition {
        name: new.name.trim().to_owned(),
        description: new.description.trim().to_owned(),
        host: new.host,
        labels: new.labels,
    };
    let made = vm::create(&app.store, &caller.context(), caller.authority(), &definition).await;
    Ok(Envelope::ok(detail(&app, &caller, made.map_err(explain)?).await?))
}

/// The manual virtual machine, if the caller may change it.
async fn changeable(app: &App, caller: &Caller, id: VmId) -> Result<(), ApiError> {
    let within = subject::of_vm(&app.store, id).await?.ok_or(ApiError::NotFound)?;
    caller.find("vm.read", &within)?;
    caller.require(WRITE, &within)
}

/// Changes a manual virtual machine.
#[utoipa::path(patch, path = "/vms/{id}", tag = "vms", request_body = VmChange,
    params(("id" = String, Path, format = "uuid", description = "UUID of the VM")), responses(
    (status = 200, description = "The VM", body = Envelope<VmDetail>),
    (status = 409, description = "40905 an agent says how it is", body = crate::error::Problem)))]
pub(crate) async fn change_vm(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<VmId>,
    Body(change): Body<VmChange>,
) -> Result<Envelope<VmDetail>, ApiError> {
    let mut fields = Fields::default();
    if let Some(name) = &change.name {
        fields.text("name", name, 1, MAX_NAME);
    }
    if let Some(description) = &change.description {
        fields.text("description", description, 0, MAX_DESCRIPTION);
    }
    fields.check()?;
    changeable(&app, &caller, id).await?;
    check_host(&app, &caller, change.host.flatten()).await?;
    let trimmed = |text: Option<String>| text.map(|text| text.trim().to_owned());
    let wanted = vm::Change {
        name: trimmed(change.name),
        description: trimmed(change.description),
        host: change.host,
    };
    let changed = vm::change(&app.store, &caller.context(), caller.authority(), id, &wanted).await;
    changed.map_err(explain)?;
    Ok(Envelope::ok(detail(&app, &caller, id).await?))
}

/// Deletes a manual virtual machine.
#[utoipa::path(delete, path = "/vms/{id}", tag = "vms",
    params(("id" = String, Path, format = "uuid", description = "UUID of the VM")), responses(
    (status = 200, description = "Deleted", body = Envelope<Empty>),
    (status = 409, description = "40905 an agent says how it is", body = crate::error::Problem)))]
pub(crate) async fn delete_vm(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<VmId>,
    Params(Nothing {}): Params<Nothing>,
) -> Result<Envelope<Empty>, ApiError> {
    changeable(&app, &caller, id).await?;
    vm::delete(&app.store, &caller.context(), id).await?;
    Ok(Envelope::ok(Empty))
}

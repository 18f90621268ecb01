//! Labels of virtual machines and hosts.

use crate::api::Envelope;
use crate::api::extract::{Body, Id};
use crate::auth::Caller;
use crate::error::{ApiError, Fault, Fields};
use crate::state::App;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use vmscope_model::access::Permission;
use vmscope_model::label::{Labels, MAX_LABELS, is_key, is_value};
use vmscope_model::{HostId, VmId};
use vmscope_store::vm::{self, Edit, Edited, LabelEdit};
use vmscope_store::{label, subject};

/// Most labels that a list is filtered by.
const MAX_WANTED: usize = 20;

/// All labels of a thing.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LabelSet {
    /// Values by key, at most 64. A key is lower-case letters, digits, `.`, `_`, `/`, `-`, at most 63 of them; a value has at most 128
    /// characters.
    #[schema(example = json!({"env": "prod", "tier": "web"}))]
    labels: Labels,
}

/// Refuses labels that nothing can have.
pub(super) fn check(fields: &mut Fields, name: &str, labels: &Labels) {
    fields.require(labels.len() <= MAX_LABELS, name, Fault::TooLong(MAX_LABELS));
    for (key, value) in labels {
        let right = is_key(key) && is_value(value);
        fields.require(right, &format!("{name}.{key}"), Fault::Format);
    }
}

/// The labels of a filter: `key=value` or `key`, with commas between them.
pub(super) fn wanted(text: &str) -> Result<Vec<(String, Option<String>)>, ApiError> {
    let mut parts = vec![String::new()];
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character == ',' {
            parts.push(String::new());
        } else if let Some(last) = parts.last_mut() {
            last.push(match character {
                '\\' => characters.next().unwrap_or('\\'),
                other => other,
            });
        }
    }
    let label = |part: String| {
        let (key, value) = match part.split_once('=') {
            Some((key, value)) => (key.trim(), Some(value.to_owned())),
            None => (part.trim(), None),
        };
        if is_key(key) {
            Ok((key.to_owned(), value))
        } else {
            Err(ApiError::parameter("label", format_args!("{key:?} is no key")))
        }
    };
    let labels: Vec<_> = parts
        .into_iter()
        .filter(|part| !part.trim().is_empty())
        .map(label)
        .collect::<Result<_, _>>()?;
    if labels.len() > MAX_WANTED {
        return Err(ApiError::parameter(
            "label",
            format_args!("more than {MAX_WANTED}"),
        ));
    }
    Ok(labels)
}

/// Gives a virtual machine these labels instead of those that it has. A label that the rule of a group looks at moves the machine: who
/// writes it must be able to do with the machine all that roles give and deny within that group.
#[utoipa::path(put, path = "/vms/{id}/labels", tag = "vms", request_body = LabelSet,
    params(("id" = String, Path, format = "uuid", description = "UUID of the VM")),
    responses((status = 200, description = "The labels", body = Envelope<LabelSet>)))]
pub(crate) async fn set_vm_labels(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<VmId>,
    Body(set): Body<LabelSet>,
) -> Result<Envelope<LabelSet>, ApiError> {
    let mut fields = Fields::default();
    check(&mut fields, "labels", &set.labels);
    fields.check()?;
    let edit = Edit {
        labels: LabelEdit::Replace(set.labels.clone()),
        ..Edit::default()
    };
    let permission = write_permission()?;
    let (seen, write) = (caller.reach("vm.read")?, caller.reach(permission.as_str())?);
    let rights = (&seen, (&write, &permission));
    let results = vm::edit(
        &app.store,
        &caller.context(),
        caller.authority(),
        &[id],
        &edit,
        rights,
    )
    .await?;
    match results.into_iter().next() {
        Some((_, Edited::Done | Edited::Unchanged)) => Ok(Envelope::ok(set)),
        Some((_, Edited::Denied(lacking))) => Err(ApiError::forbidden(lacking.as_str())),
        Some((_, Edited::Malformed)) => Err(ApiError::field("labels", Fault::Format)),
        Some((_, Edited::Unknown)) | None => Err(ApiError::NotFound),
    }
}

/// What labelling a virtual machine needs.
pub(super) fn write_permission() -> Result<Permission, ApiError> {
    Permission::known("vm.write").ok_or(ApiError::Internal)
}

/// Gives a host these labels instead of those that it has. A label that the rule of a group looks at moves the machines on the host, also
/// those that come later: who writes it must hold everywhere all that roles give and deny within that group.
#[utoipa::path(put, path = "/hosts/{id}/labels", tag = "hosts", request_body = LabelSet,
    params(("id" = String, Path, format = "uuid", description = "UUID of the host")),
    responses((status = 200, description = "The labels", body = Envelope<LabelSet>)))]
pub(crate) async fn set_host_labels(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<HostId>,
    Body(set): Body<LabelSet>,
) -> Result<Envelope<LabelSet>, ApiError> {
    let mut fields = Fields::default();
    check(&mut fields, "labels", &set.labels);
    fields.check()?;
    let within = subject::of_hosts(&app.store, &[id]).await?.remove(&id);
    let within = within.ok_or(ApiError::NotFound)?;
    caller.find("host.read", &within)?;
    caller.require("host.write", &within)?;
    label::set_host(&app.store, &caller.context(), caller.authority(), id, &set.labels).await?;
    Ok(Envelope::ok(set))
}

#[cfg(test)]
mod tests {
    use super::wanted;

    #[test]
    fn labels_of_a_filter_are_read() {
        let read = |text: &str| wanted(text).ok();
        let label = |key: &str, value: Option<&str>| (key.to_owned(), value.map(str::to_owned));
        assert_eq!(read(""), Some(vec![]));
        assert_eq!(
            read("env=prod, tier"),
            Some(vec![label("env", Some("prod")), label("tier", None)])
        );
        assert_eq!(read("a=1=2\\,3\\\\"), Some(vec![label("a", Some("1=2,3\\"))]));
        assert_eq!(read("a="), Some(vec![label("a", Some(""))]));
        assert_eq!(read("Env=prod"), None);
        assert_eq!(read(&"a,".repeat(21)), None);
    }
}

//! What is in groups.

use crate::api::Envelope;
use crate::api::extract::{Body, Id, Params};
use crate::api::group::{changeable, visible};
use crate::api::page::{self, Page};
use crate::api::user_access::Items;
use crate::api::vm::HostReference;
use crate::auth::Caller;
use crate::error::{ApiError, Fault, Fields};
use crate::state::App;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;
use vmscope_model::VmId;
use vmscope_model::catalogue::state;
use vmscope_model::rule::Rule;
use vmscope_store::group;
use vmscope_store::inventory::Source;

/// Most virtual machines that one request puts in or takes out.
const MAX_CHANGES: usize = 1_000;

/// A virtual machine in a group.
#[derive(Debug, Serialize, ToSchema)]
pub struct Member {
    /// Its UUID.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Where it is; null for a manual one that is nowhere.
    #[schema(required)]
    pub host: Option<HostReference>,
    /// Its state; null before the first sample.
    #[schema(required)]
    pub state: Option<&'static str>,
    /// Why it is in the group.
    pub sources: Vec<MemberSource>,
}

/// Why a virtual machine is in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MemberSource {
    /// Somebody has put it in.
    Direct,
    /// The group's rule.
    Rule,
    /// A group within the group has it.
    Nested,
}

impl From<Source> for MemberSource {
    fn from(source: Source) -> Self {
        match source {
            Source::Direct => Self::Direct,
            Source::Rule => Self::Rule,
            Source::Nested => Self::Nested,
        }
    }
}

impl From<group::Member> for Member {
    fn from(member: group::Member) -> Self {
        Self {
            id: member.vm.to_string(),
            name: member.name,
            host: member.host.map(|(id, name)| HostReference {
                id: id.to_string(),
                name,
            }),
            state: member.state.and_then(|code| state::name(state::VM, code.into())),
            sources: member.sources.into_iter().map(MemberSource::from).collect(),
        }
    }
}

/// Which page.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct MemberParams {
    /// Number of the page, from 1.
    #[param(minimum = 1, maximum = 100_000, default = 1)]
    page: u32,
    /// Most items a page.
    #[param(minimum = 1, maximum = 500, default = 50)]
    page_size: u32,
}

impl Default for MemberParams {
    fn default() -> Self {
        Self {
            page: 1,
            page_size: page::DEFAULT_SIZE,
        }
    }
}

/// The virtual machines of a group, by name, a page at a time.
#[utoipa::path(get, path = "/groups/{id}/members", tag = "groups",
    params(("id" = Uuid, Path, description = "The group"), MemberParams),
    responses((status = 200, description = "One page", body = Envelope<Page<Member>>)))]
pub(crate) async fn list_members(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<Uuid>,
    Params(params): Params<MemberParams>,
) -> Result<Envelope<Page<Member>>, ApiError> {
    let paging = page::check(params.page, params.page_size)?;
    visible(&app, &caller, id).await?;
    let members = group::members(&app.store, id, paging).await?;
    Ok(Envelope::ok(page::of(members, paging)))
}

/// Virtual machines to put in and to take out.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MemberChanges {
    /// UUIDs of those to put in.
    #[serde(default)]
    #[schema(max_items = 1000)]
    add: Vec<Uuid>,
    /// UUIDs of those to take out.
    #[serde(default)]
    #[schema(max_items = 1000)]
    remove: Vec<Uuid>,
}

/// What became of one.
#[derive(Debug, Serialize, ToSchema)]
pub struct MemberResult {
    /// The virtual machine's UUID.
    pub vm: String,
    /// What became of it.
    pub result: MemberOutcome,
}

/// What became of a virtual machine that was to be put in or taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MemberOutcome {
    /// It is in now.
    Added,
    /// Somebody had put it in before.
    AlreadyIn,
    /// It is out now, unless the rule or a group within the group keeps it in.
    Removed,
    /// Nobody had put it in.
    NotIn,
    /// It would give somebody what the caller may not do there himself.
    Denied,
    /// There is no such virtual machine, or the caller may not see it.
    Unknown,
}

impl From<group::MemberChange> for MemberOutcome {
    fn from(change: group::MemberChange) -> Self {
        match change {
            group::MemberChange::Added => Self::Added,
            group::MemberChange::AlreadyIn => Self::AlreadyIn,
            group::MemberChange::Removed => Self::Removed,
            group::MemberChange::NotIn => Self::NotIn,
            group::MemberChange::Denied => Self::Denied,
            group::MemberChange::Unknown => Self::Unknown,
        }
    }
}

/// Puts virtual machines into a group and takes others out. Who sees the group only can't add to it what he may not see otherwise.
#[utoipa::path(put, path = "/groups/{id}/members", tag = "groups", request_body = MemberChanges,
    params(("id" = Uuid, Path, description = "The group")),
    responses((status = 200, description = "What became of each", body = Envelope<Items<MemberResult>>)))]
pub(crate) async fn change_members(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<Uuid>,
    Body(changes): Body<MemberChanges>,
) -> Result<Envelope<Items<MemberResult>>, ApiError> {
    let mut fields = Fields::default();
    fields.require(
        changes.add.len() <= MAX_CHANGES,
        "add",
        Fault::TooLong(MAX_CHANGES),
    );
    fields.require(
        changes.remove.len() <= MAX_CHANGES,
        "remove",
        Fault::TooLong(MAX_CHANGES),
    );
    fields.check()?;
    changeable(&app, &caller, id).await?;
    let ids = |list: Vec<Uuid>| list.into_iter().map(VmId).collect::<Vec<VmId>>();
    let wanted = group::Wanted {
        add: ids(changes.add),
        remove: ids(changes.remove),
        reach: caller.reach("vm.read")?,
    };
    let results =
        group::change_members(&app.store, &caller.context(), caller.authority(), id, &wanted).await?;
    let items = results
        .into_iter()
        .map(|(vm, change)| MemberResult {
            vm: vm.to_string(),
            result: change.into(),
        })
        .collect();
    Ok(Envelope::ok(Items { items }))
}

/// A rule to be tried.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleTrial {
    /// The rule.
    #[schema(max_length = 2000, example = "label.env = prod and host in (a, b)")]
    rule: String,
}

/// What a rule comes to now.
#[derive(Debug, Serialize, ToSchema)]
pub struct RulePreview {
    /// How many of the machines that the caller may see are as the rule says.
    pub matching: u64,
    /// The first of them by name.
    pub sample: Vec<VmName>,
}

/// A virtual machine by its name.
#[derive(Debug, Serialize, ToSchema)]
pub struct VmName {
    /// UUID.
    #[schema(format = "uuid")]
    pub id: String,
    /// Its name.
    pub name: String,
}

/// Tries a rule on the machines that the caller may see, and keeps nothing of it. A rule that can't be read is 40003 for the field `rule`,
/// with the position.
#[utoipa::path(post, path = "/groups/preview", tag = "groups", request_body = RuleTrial,
    responses((status = 200, description = "What it comes to", body = Envelope<RulePreview>)))]
pub(crate) async fn preview_rule(
    State(app): State<App>,
    caller: Caller,
    Body(trial): Body<RuleTrial>,
) -> Result<Envelope<RulePreview>, ApiError> {
    let rule: Rule = trial
        .rule
        .parse()
        .map_err(|error| ApiError::field("rule", Fault::Rule(error)))?;
    let found = group::preview(&app.store, &rule, &caller.reach_or_nothing("vm.read")?).await?;
    let name = |(id, name): (VmId, String)| VmName {
        id: id.to_string(),
        name,
    };
    Ok(Envelope::ok(RulePreview {
        matching: found.matching,
        sample: found.sample.into_iter().map(name).collect(),
    }))
}

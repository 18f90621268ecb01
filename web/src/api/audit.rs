//! The audit trail: who did what.

use crate::api::Envelope;
use crate::api::extract::Params;
use crate::error::ApiError;
use crate::state::App;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;
use vmscope_store::audit::{self, Outcome, Recorded};
use vmscope_store::{Error, Store};

/// Entries a page when the caller does not say.
const DEFAULT_LIMIT: u32 = 50;
/// Most entries a page.
const MAX_LIMIT: u32 = 500;

/// What came of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum AuditResult {
    /// It was done.
    Done,
    /// It was not allowed.
    Denied,
    /// It did not succeed.
    Failed,
}

impl From<Outcome> for AuditResult {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Done => Self::Done,
            Outcome::Denied => Self::Denied,
            Outcome::Failed => Self::Failed,
        }
    }
}

impl From<AuditResult> for Outcome {
    fn from(result: AuditResult) -> Self {
        match result {
            AuditResult::Done => Self::Done,
            AuditResult::Denied => Self::Denied,
            AuditResult::Failed => Self::Failed,
        }
    }
}

/// An entry of the audit trail.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditEntry {
    /// Its number; entries have no holes.
    pub id: i64,
    /// When.
    pub at: Timestamp,
    /// `user`, `token`, `system` or `anonymous`.
    #[schema(example = "user")]
    pub actor_kind: String,
    /// Id of the user or token; null for others.
    #[schema(required)]
    pub actor_id: Option<String>,
    /// Who he is, or says he is.
    pub actor_name: String,
    /// From which address; empty for a program of vmscope.
    pub remote: String,
    /// In which request; empty when there was none.
    pub request_id: String,
    /// What.
    #[schema(example = "user.create")]
    pub action: String,
    /// Kind of what it was done to; null when there is nothing.
    #[schema(required, example = "user")]
    pub target_kind: Option<String>,
    /// Its id.
    #[schema(required)]
    pub target_id: Option<String>,
    /// Its name at that time.
    #[schema(required)]
    pub target_name: Option<String>,
    /// What came of it.
    pub result: AuditResult,
    /// The application code of the answer; 0 is success.
    pub code: i32,
    /// What it was before; null when it was not there, or nothing was changed.
    #[schema(required, value_type = Option<Object>)]
    pub before: Option<Json>,
    /// What it was afterwards.
    #[schema(required, value_type = Option<Object>)]
    pub after: Option<Json>,
}

impl From<Recorded> for AuditEntry {
    fn from(entry: Recorded) -> Self {
        Self {
            id: entry.id,
            at: entry.at,
            actor_kind: entry.actor_kind,
            actor_id: entry.actor_id.as_ref().map(Uuid::to_string),
            actor_name: entry.actor_name,
            remote: entry.remote,
            request_id: entry.request_id,
            action: entry.action,
            target_kind: entry.target_kind,
            target_id: entry.target_id,
            target_name: entry.target_name,
            result: entry.result.into(),
            code: entry.code,
            before: entry.before,
            after: entry.after,
        }
    }
}

/// A part of the audit trail.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditPage {
    /// Entries, the newest first.
    pub items: Vec<AuditEntry>,
    /// Where the next part begins; null at the end.
    #[schema(required)]
    pub next_cursor: Option<String>,
}

/// Which entries.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct AuditParams {
    /// Where to go on: `next_cursor` of the part before.
    cursor: Option<String>,
    /// Most entries; 50 when not given, but all for a file.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
    /// Only entries with this in a name, an address, an action or a request's id, in any case.
    q: Option<String>,
    /// Only what this user did, himself or by a token: his id or name; or a token's id.
    actor: Option<String>,
    /// Only actions that begin so.
    #[param(example = "user.")]
    action: Option<String>,
    /// Only what came to this.
    #[param(inline)]
    result: Option<AuditResult>,
    /// Only what was done to things of this kind.
    target_kind: Option<String>,
    /// Only what was done to this.
    target_id: Option<String>,
    /// Not before this moment, RFC 3339.
    from: Option<Timestamp>,
    /// Not after this moment, RFC 3339.
    to: Option<Timestamp>,
}

impl AuditParams {
    /// The filter, and how many entries at most.
    fn check(self) -> Result<(audit::Filter, Option<u32>), ApiError> {
        if self.limit.is_some_and(|limit| !(1..=MAX_LIMIT).contains(&limit)) {
            return Err(ApiError::parameter(
                "limit",
                format_args!("must be from 1 to {MAX_LIMIT}"),
            ));
        }
        if self.from.zip(self.to).is_some_and(|(from, to)| from > to) {
            return Err(ApiError::parameter("from", "is after to"));
        }
        let before_id = self.cursor.as_deref().map(cursor).transpose()?;
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        let filter = audit::Filter {
            q: given(self.q),
            actor: given(self.actor),
            action: given(self.action),
            target_kind: given(self.target_kind),
            target_id: given(self.target_id),
            result: self.result.map(Outcome::from),
            from: self.from,
            to: self.to,
            before_id,
            limit: MAX_LIMIT,
        };
        Ok((filter, self.limit))
    }
}

fn cursor(text: &str) -> Result<i64, ApiError> {
    text.parse()
        .ok()
        .filter(|id| *id > 0)
        .ok_or_else(|| ApiError::parameter("cursor", "is none of ours"))
}

/// The audit trail, the newest first.
#[utoipa::path(get, path = "/audit", tag = "audit", params(AuditParams),
    responses((status = 200, description = "A part of it", body = Envelope<AuditPage>)))]
pub(crate) async fn list_audit(
    State(app): State<App>,
    Params(params): Params<AuditParams>,
) -> Result<Envelope<AuditPage>, ApiError> {
    let (mut filter, limit) = params.check()?;
    let limit = limit.unwrap_or(DEFAULT_LIMIT);
    // One more tells whether there is more.
    filter.limit = (limit + 1).min(MAX_LIMIT);
    let mut found = audit::list(&app.store, &filter).await?;
    let has_more = found.len() > limit as usize || (limit == MAX_LIMIT && found.len() == limit as usize);
    found.truncate(limit as usize);
    let next_cursor = found.last().filter(|_| has_more).map(|last| last.id.to_string());
    let items = found.into_iter().map(AuditEntry::from).collect();
    Ok(Envelope::ok(AuditPage { items, next_cursor }))
}

/// The audit trail as a file: CSV (RFC 4180), the newest first, with a line of headings. It is sent as it is read.
#[utoipa::path(get, path = "/audit/export", tag = "audit", params(AuditParams),
    responses((status = 200, description = "CSV", body = String, content_type = "text/csv")))]
pub(crate) async fn export_audit(
    State(app): State<App>,
    Params(params): Params<AuditParams>,
) -> Result<Response, ApiError> {
    let (filter, limit) = params.check()?;
    let mut export = Export {
        store: app.store,
        filter,
        left: limit,
        ended: false,
    };
    // What fails at once is an answer; later, the file just breaks off.
    let first = export.next(true).await?;
    let rest = stream::try_unfold(export, async |mut export| {
        if export.ended {
            return Ok(None);
        }
        let part = export.next(false).await?;
        Ok::<_, Error>(Some((part, export)))
    });
    let head = stream::once(async move { Ok(first) });
    let headers = [
        (CONTENT_TYPE, "text/csv; charset=utf-8"),
        (CONTENT_DISPOSITION, "attachment; filename=\"vmscope-audit.csv\""),
    ];
    Ok((
        headers,
        Body::from_stream(futures_util::StreamExt::chain(head, rest)),
    )
        .into_response())
}

/// A file that is being written.
struct Export {
    store: Store,
    filter: audit::Filter,
    /// Entries that may still come; no end when not given.
    left: Option<u32>,
    ended: bool,
}

const HEADINGS: [&str; 15] = [
    "id",
    "at",
    "actor_kind",
    "actor_id",
    "actor_name",
    "remote",
    "request_id",
    "action",
    "target_kind",
    "target_id",
    "target_name",
    "result",
    "code",
    "before",
    "after",
];

impl Export {
    /// The next part.
    async fn next(&mut self, with_headings: bool) -> Result<Bytes, Error> {
        self.filter.limit = self.left.map_or(MAX_LIMIT, |left| left.min(MAX_LIMIT));
        let entries = audit::list(&self.store, &self.filter).await?;
        self.ended = entries.len() < self.filter.limit as usize;
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(self.filter.limit);
            self.ended |= *left == 0;
        }
        self.filter.before_id = entries.last().map(|entry| entry.id).or(self.filter.before_id);
        let mut lines = csv::Writer::from_writer(Vec::new());
        let written = write(&mut lines, with_headings, entries);
        // Writing into memory does not fail.
        let text = written.ok().and_then(|()| lines.into_inner().ok());
        Ok(text.unwrap_or_default().into())
    }
}

fn write(lines: &mut csv::Writer<Vec<u8>>, with_headings: bool, entries: Vec<Recorded>) -> csv::Result<()> {
    if with_headings {
        lines.write_record(HEADINGS)?;
    }
    for entry in entries {
        let json = |json: Option<Json>| json.map_or_else(String::new, |json| json.to_string());
        let cells = [
            entry.id.to_string(),
            entry.at.to_string(),
            entry.actor_kind,
            entry.actor_id.map_or_else(String::new, |id| id.to_string()),
            entry.actor_name,
            entry.remote,
            entry.request_id,
            entry.action,
            entry.target_kind.unwrap_or_default(),
            entry.target_id.unwrap_or_default(),
            entry.target_name.unwrap_or_default(),
            entry.result.name().to_owned(),
            entry.code.to_string(),
            json(entry.before),
            json(entry.after),
        ];
        lines.write_record(cells.iter().map(|cell| harmless(cell)))?;
    }
    Ok(())
}

/// A cell that no spreadsheet takes for a formula (OWASP, "CSV injection").
fn harmless(cell: &str) -> String {
    let quote = if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        "'"
    } else {
        ""
    };
    format!("{quote}{cell}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_never_a_formula() {
        assert_eq!(harmless("=1+1"), "'=1+1");
        assert_eq!(harmless("@SUM(A1)"), "'@SUM(A1)");
        assert_eq!(harmless("lin=1"), "lin=1");
        assert_eq!(harmless(""), "");
    }

    #[test]
    fn a_cursor_is_a_number_of_an_entry() {
        assert_eq!(cursor("7").unwrap(), 7);
        for wrong in ["", "0", "-1", "x", "99999999999999999999"] {
            assert!(cursor(wrong).is_err(), "{wrong}");
        }
    }
}

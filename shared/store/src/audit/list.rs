//! Entries for people: searched, filtered, newest first.

use super::Outcome;
use crate::page::{Paging, patterns};
use crate::{Error, Store};
use jiff::Timestamp;
use serde_json::Value as Json;
use tokio_postgres::{Row, types::ToSql};
use uuid::Uuid;

/// Which entries; everything that is set has to fit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Anywhere in actor, address, request id, action, or the target's id and name.
    pub q: Option<String>,
    /// The actor's name in any case, or the id of a user (his tokens too) or of a token.
    pub actor: Option<String>,
    /// What the action begins with: `user` finds `user.create`.
    pub action: Option<String>,
    /// What kind of thing was acted on.
    pub target_kind: Option<String>,
    /// Which one.
    pub target_id: Option<String>,
    /// What came of it.
    pub result: Option<Outcome>,
    /// Not before this moment.
    pub from: Option<Timestamp>,
    /// Not after this moment.
    pub to: Option<Timestamp>,
    /// Only entries with a lower number: where the page before ended.
    pub before_id: Option<i64>,
    /// How many, at most 500.
    pub limit: u32,
}

/// An entry as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// Its number.
    pub id: i64,
    /// When.
    pub at: Timestamp,
    /// `anonymous`, `user`, `token` or `system`.
    pub actor_kind: String,
    /// The user's or the token's id.
    pub actor_id: Option<Uuid>,
    /// The user's id, or that of the token's owner.
    pub actor_user_id: Option<Uuid>,
    /// Its name.
    pub actor_name: String,
    /// From which address.
    pub remote: String,
    /// In which request.
    pub request_id: String,
    /// What.
    pub action: String,
    /// To what kind of thing.
    pub target_kind: Option<String>,
    /// To which one.
    pub target_id: Option<String>,
    /// What people called it.
    pub target_name: Option<String>,
    /// What came of it.
    pub result: Outcome,
    /// The code of the answer.
    pub code: i32,
    /// What was before.
    pub before: Option<Json>,
    /// What was afterwards.
    pub after: Option<Json>,
    /// The entry's hash.
    pub hash: Vec<u8>,
}

/// The newest entries that fit `filter`, newest first. The number of the last one is where the next page begins
/// ([`Filter::before_id`]).
///
/// # Errors
/// The database's failures.
pub async fn list(store: &Store, filter: &Filter) -> Result<Vec<Recorded>, Error> {
    const LIST_AUDIT: &str = "\
-- list_audit
SELECT id, at, actor_kind, actor_id, actor_user_id, actor_name, remote, request_id, action, target_kind, target_id,
    target_name, result, code, before::text, after::text, hash
FROM audit
WHERE ($1::text IS NULL OR concat_ws(' ', actor_name, remote, request_id, action, target_id, target_name) ILIKE $1)
    AND ($2::text IS NULL OR lower(actor_name) = lower($2) OR actor_id = $3 OR actor_user_id = $3)
    AND ($4::text IS NULL OR starts_with(action, $4))
    AND ($5::text IS NULL OR target_kind = $5)
    AND ($6::text IS NULL OR target_id = $6)
    AND ($7::text IS NULL OR result = $7)
    AND ($8::timestamptz IS NULL OR at >= $8)
    AND ($9::timestamptz IS NULL OR at <= $9)
    AND ($10::bigint IS NULL OR id < $10)
ORDER BY id DESC LIMIT $11";
    let clean = |text: &Option<String>| text.as_ref().map(|text| text.replace('\0', ""));
    let limit = i64::from(filter.limit.clamp(1, Paging::MAX_SIZE));
    let parameters: [&(dyn ToSql + Sync); 11] = [
        &filter.q.as_deref().map(|q| patterns(q).0),
        &clean(&filter.actor),
        &filter
            .actor
            .as_deref()
            .and_then(|actor| Uuid::parse_str(actor).ok()),
        &clean(&filter.action),
        &clean(&filter.target_kind),
        &clean(&filter.target_id),
        &filter.result.map(Outcome::name),
        &filter.from,
        &filter.to,
        &filter.before_id,
        &limit,
    ];
    let client = store.get().await?;
    let rows = client
        .query(LIST_AUDIT, &parameters)
        .await
        .map_err(Error::statement("list_audit"))?;
    rows.iter().map(recorded).collect()
}

fn recorded(row: &Row) -> Result<Recorded, Error> {
    let missing = || Error::Missing {
        operation: "list_audit",
    };
    let json = |text: Option<String>| {
        text.map(|text| serde_json::from_str(&text).map_err(|_| missing()))
            .transpose()
    };
    Ok(Recorded {
        id: row.get(0),
        at: row.get(1),
        actor_kind: row.get(2),
        actor_id: row.get(3),
        actor_user_id: row.get(4),
        actor_name: row.get(5),
        remote: row.get(6),
        request_id: row.get(7),
        action: row.get(8),
        target_kind: row.get(9),
        target_id: row.get(10),
        target_name: row.get(11),
        result: Outcome::named(row.get(12)).ok_or_else(missing)?,
        code: row.get(13),
        before: json(row.get(14))?,
        after: json(row.get(15))?,
        hash: row.get(16),
    })
}

//! How entries hang together: the hash of each is of all its fields and of the hash before.
//!
//! The database computes it when an entry is added (`audit_append`); what is here computes it again, so that a function
//! that somebody has replaced convinces nobody.

use crate::Error;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use tokio_postgres::{GenericClient, Row};

/// The hash of an entry.
pub(super) type Hash = [u8; 32];

/// What stands for the hash before the first entry.
pub(super) const GENESIS: Hash = [0; 32];

/// Entries that are fetched at a time.
const PAGE: i64 = 2_000;

/// An entry with what its hash is made of.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) id: i64,
    pub(super) age_s: f64,
    pub(super) prev: Vec<u8>,
    pub(super) hash: Vec<u8>,
    computed: Hash,
}

impl Link {
    /// Whether the entry is as it was when its hash was computed.
    pub(super) fn is_whole(&self) -> bool {
        self.hash == self.computed
    }

    fn from_row(row: &Row) -> Self {
        let prev: Vec<u8> = row.get(2);
        let fields: Vec<Option<String>> = row.get(4);
        Self {
            id: row.get(0),
            age_s: row.get(1),
            computed: compute(&fields, &prev),
            prev,
            hash: row.get(3),
        }
    }
}

/// Lowercase hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing into a string can't fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The entries after `id`, by their numbers: a page of them, empty behind the last one.
pub(super) async fn links(client: &impl GenericClient, after: i64) -> Result<Vec<Link>, Error> {
    // Somebody who may do everything can also write a time that is none.
    const AUDIT_LINKS: &str = "\
-- audit_links
SELECT id, CASE WHEN isfinite(at) THEN extract(epoch FROM clock_timestamp() - at)::float8 ELSE 0 END, prev, hash, ARRAY[
    id::text, CASE WHEN isfinite(at) THEN (extract(epoch FROM at) * 1000000)::bigint::text ELSE at::text END,
    actor_kind, actor_id::text, actor_user_id::text, actor_name, remote, request_id, action, target_kind, target_id,
    target_name, result, code::text, before::text, after::text]
FROM audit WHERE id > $1 ORDER BY id LIMIT $2";
    let rows = client
        .query(AUDIT_LINKS, &[&after, &PAGE])
        .await
        .map_err(Error::statement("audit_links"))?;
    Ok(rows.iter().map(Link::from_row).collect())
}

/// Entries with numbers that vmscope never gives, at most `limit`: they are in no chain, and yet shown to who reads the trail.
pub(super) async fn strays(client: &impl GenericClient, limit: i64) -> Result<Vec<i64>, Error> {
    const AUDIT_STRAYS: &str = "\
-- audit_strays
SELECT id FROM audit WHERE id < 1 ORDER BY id LIMIT $1";
    let rows = client
        .query(AUDIT_STRAYS, &[&limit])
        .await
        .map_err(Error::statement("audit_strays"))?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// The hash that the entry `id` has; nothing when it is not there.
pub(super) async fn hash_of(client: &impl GenericClient, id: i64) -> Result<Option<Vec<u8>>, Error> {
    const AUDIT_HASH: &str = "\
-- audit_hash
SELECT hash FROM audit WHERE id = $1";
    if id == 0 {
        return Ok(Some(GENESIS.to_vec()));
    }
    let row = client
        .query_opt(AUDIT_HASH, &[&id])
        .await
        .map_err(Error::statement("audit_hash"))?;
    Ok(row.map(|row| row.get(0)))
}

/// The number and hash of the newest entry, as `audit_append` keeps them; nothing when somebody has removed them.
pub(super) async fn head(client: &impl GenericClient) -> Result<Option<(i64, Vec<u8>)>, Error> {
    const AUDIT_HEAD: &str = "\
-- audit_head
SELECT id, hash FROM audit_head";
    let row = client
        .query_opt(AUDIT_HEAD, &[])
        .await
        .map_err(Error::statement("audit_head"))?;
    Ok(row.map(|row| (row.get(0), row.get(1))))
}

fn compute(fields: &[Option<String>], prev: &[u8]) -> Hash {
    let mut text = String::new();
    for field in fields {
        add(&mut text, field.as_deref());
    }
    add(&mut text, Some(&hex(prev)));
    Sha256::digest(text.as_bytes()).into()
}

/// A field after its length, so that no two lists of fields look alike; a minus for none.
fn add(text: &mut String, field: Option<&str>) {
    match field {
        // Writing into a string can't fail.
        Some(field) => drop(write!(text, "{}:{field}", field.len())),
        None => text.push('-'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moves_from_one_field_to_another_changes_the_hash() {
        let hash = |fields: &[Option<&str>]| {
            let fields: Vec<_> = fields.iter().map(|field| field.map(ToOwned::to_owned)).collect();
            compute(&fields, &GENESIS)
        };
        let lists: [&[Option<&str>]; 6] = [
            &[Some("ab"), Some("c")],
            &[Some("a"), Some("bc")],
            &[Some("a"), Some("bc"), Some("")],
            &[Some("a"), Some("bc"), None],
            &[None, Some("a"), Some("bc")],
            &[Some("a1:b"), Some("c")],
        ];
        for (index, list) in lists.iter().enumerate() {
            for other in &lists[index + 1..] {
                assert_ne!(hash(list), hash(other), "{list:?} {other:?}");
            }
        }
    }
}

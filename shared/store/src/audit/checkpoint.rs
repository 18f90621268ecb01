//! Checkpoints: signatures of the newest hash, each of them also of the checkpoint before.
//!
//! Who has no signing key can't make one, so entries up to a checkpoint can't be written anew behind it, and can't be cut
//! off below it. A checkpoint is signed only when the entries since the last one hang together.

use super::chain::{self, hex};
use super::verify::Finding;
use crate::{Error, Store};
use std::fmt;
use std::str::FromStr;
use tokio_postgres::{GenericClient, Row, Transaction};
use uuid::Uuid;

/// Key of the advisory lock under which checkpoints are made: "vmaudit" in ASCII.
const CHECKPOINT_LOCK: i64 = 0x76_6d61_7564_6974;

/// An entry by its number and hash: enough to know it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The entry's number.
    pub audit_id: i64,
    /// Its hash.
    pub hash: Vec<u8>,
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.audit_id, hex(&self.hash))
    }
}

impl FromStr for Mark {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let malformed = "a mark is the number of an entry, a colon and its hash in 64 hexadecimal digits";
        let (id, hash) = text.split_once(':').ok_or(malformed)?;
        if hash.len() != 64 || !hash.is_ascii() {
            return Err(malformed);
        }
        let digits = (0..32).map(|byte| u8::from_str_radix(&hash[2 * byte..2 * byte + 2], 16));
        Ok(Self {
            audit_id: id.parse().map_err(|_| malformed)?,
            hash: digits.collect::<Result<_, _>>().map_err(|_| malformed)?,
        })
    }
}

/// What a checkpoint is held against before it is signed.
#[derive(Debug, Clone, Copy)]
pub enum Check<'a> {
    /// The entries since the last checkpoint have to hang together. What the caller remembers of an earlier checkpoint has to be
    /// there: otherwise it was removed, whatever the tables say.
    Since(Option<&'a Mark>),
    /// Nothing: a person has looked and goes on from what there is. The head is set to the newest entry.
    Accepted,
}

/// A checkpoint that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// Its own number.
    pub number: i64,
    /// The newest entry that it covers.
    pub mark: Mark,
}

/// What [`checkpoint()`] came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checkpoint {
    /// There is a new one.
    Signed(Signed),
    /// Nothing was added since the last one.
    Unchanged,
    /// Another collector makes one at this moment.
    Elsewhere,
    /// Nothing was signed: entries were tampered with.
    Tampered(Finding),
}

/// A checkpoint as it is stored.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub(super) number: i64,
    pub(super) audit_id: i64,
    pub(super) hash: Vec<u8>,
    pub(super) at_us: i64,
    pub(super) key_id: Uuid,
    pub(super) signature: Vec<u8>,
}

impl Stored {
    /// What is signed.
    pub(super) fn statement(&self, before: &[u8]) -> Vec<u8> {
        format!(
            "vmscope audit checkpoint 1\n{}\n{}\n{}\n{}\n{}\n{}\n",
            self.number,
            self.audit_id,
            hex(&self.hash),
            self.at_us,
            self.key_id,
            hex(before)
        )
        .into_bytes()
    }

    fn from_row(row: &Row) -> Self {
        Self {
            number: row.get(0),
            audit_id: row.get(1),
            hash: row.get(2),
            at_us: row.get(3),
            key_id: row.get(4),
            signature: row.get(5),
        }
    }
}

/// Signs the newest entry, if there is a new one. Any number of collectors may call it: one signs.
///
/// `key` names the key by which `sign` signs.
///
/// # Errors
/// The database's failures.
pub async fn checkpoint(
    store: &Store,
    key: Uuid,
    check: Check<'_>,
    sign: impl FnOnce(&[u8]) -> Vec<u8>,
) -> Result<Checkpoint, Error> {
    let mut client = store.dedicated().await?;
    let transaction = client
        .build_transaction()
        .isolation_level(tokio_postgres::IsolationLevel::RepeatableRead)
        .start()
        .await
        .map_err(Error::statement("audit_checkpoint"))?;
    let outcome = sign_next(&transaction, key, check, sign).await?;
    // Awaited in any case: the lock is for others again when this returns.
    match (&outcome, check) {
        // Nothing to sign, but the head may have been repaired.
        (Checkpoint::Signed(_), _) | (Checkpoint::Unchanged, Check::Accepted) => transaction.commit().await,
        _ => transaction.rollback().await,
    }
    .map_err(Error::statement("audit_checkpoint"))?;
    Ok(outcome)
}

async fn sign_next(
    transaction: &Transaction<'_>,
    key: Uuid,
    check: Check<'_>,
    sign: impl FnOnce(&[u8]) -> Vec<u8>,
) -> Result<Checkpoint, Error> {
    if !lock(transaction).await? {
        return Ok(Checkpoint::Elsewhere);
    }
    if matches!(check, Check::Accepted) {
        repair_head(transaction).await?;
    }
    let last = last(transaction).await?;
    let Some((head, hash)) = chain::head(transaction).await? else {
        return Ok(Checkpoint::Tampered(Finding::HeadGone));
    };
    if let Check::Since(known) = check
        && let Some(finding) = broken(transaction, last.as_ref(), known, (head, &hash)).await?
    {
        return Ok(Checkpoint::Tampered(finding));
    }
    let nothing = chain::GENESIS;
    let signed = last.as_ref().map_or((0, nothing.as_slice()), |last| {
        (last.audit_id, last.hash.as_slice())
    });
    if (head, hash.as_slice()) == signed {
        return Ok(Checkpoint::Unchanged);
    }
    let mut new = Stored {
        number: last.as_ref().map_or(0, |last| last.number) + 1,
        audit_id: head,
        hash,
        at_us: now_us(transaction).await?,
        key_id: key,
        signature: Vec::new(),
    };
    new.signature = sign(&new.statement(last.as_ref().map_or(&[], |last| &last.signature)));
    insert(transaction, &new).await?;
    Ok(Checkpoint::Signed(Signed {
        number: new.number,
        mark: Mark {
            audit_id: new.audit_id,
            hash: new.hash,
        },
    }))
}

/// The keys by which the checkpoints say that they are signed.
///
/// # Errors
/// The database's failures.
pub async fn signing_keys(store: &Store) -> Result<Vec<Uuid>, Error> {
    const SIGNING_KEYS: &str = "\
-- audit_signing_keys
SELECT DISTINCT key_id FROM audit_checkpoint ORDER BY 1";
    let client = store.get().await?;
    let rows = client
        .query(SIGNING_KEYS, &[])
        .await
        .map_err(Error::statement("audit_signing_keys"))?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// The checkpoints after `number` in their order, each with the hash that its entry has now.
pub(super) async fn page(
    client: &impl GenericClient,
    number: i64,
    limit: i64,
) -> Result<Vec<(Stored, Option<Vec<u8>>)>, Error> {
    // A time that is none is no genuine checkpoint's: it becomes one that no signature fits.
    const CHECKPOINTS: &str = "\
-- audit_checkpoints
SELECT c.number, c.audit_id, c.hash,
    CASE WHEN isfinite(c.at) THEN (extract(epoch FROM c.at) * 1000000)::bigint ELSE 0 END, c.key_id, c.signature, a.hash
FROM audit_checkpoint c LEFT JOIN audit a ON a.id = c.audit_id WHERE c.number > $1 ORDER BY c.number LIMIT $2";
    let rows = client
        .query(CHECKPOINTS, &[&number, &limit])
        .await
        .map_err(Error::statement("audit_checkpoints"))?;
    Ok(rows
        .iter()
        .map(|row| (Stored::from_row(row), row.get(6)))
        .collect())
}

/// The first thing that is wrong with the entries since the last checkpoint, or with what the caller remembers.
async fn broken(
    transaction: &Transaction<'_>,
    last: Option<&Stored>,
    known: Option<&Mark>,
    head: (i64, &[u8]),
) -> Result<Option<Finding>, Error> {
    let signed = last.map(|last| Mark {
        audit_id: last.audit_id,
        hash: last.hash.clone(),
    });
    for mark in signed.iter().chain(known) {
        match chain::hash_of(transaction, mark.audit_id).await? {
            Some(found) if found == mark.hash => {}
            Some(_) => return Ok(Some(Finding::Rewritten { id: mark.audit_id })),
            None => {
                return Ok(Some(Finding::Missing {
                    first: mark.audit_id,
                    last: mark.audit_id,
                }));
            }
        }
    }
    let mut newest = signed.unwrap_or_else(|| Mark {
        audit_id: 0,
        hash: chain::GENESIS.to_vec(),
    });
    if let Some(finding) = follow(transaction, &mut newest).await? {
        return Ok(Some(finding));
    }
    Ok(match head {
        (id, hash) if id == newest.audit_id && hash == newest.hash => None,
        (id, _) if id > newest.audit_id => Some(Finding::Missing {
            first: newest.audit_id + 1,
            last: id,
        }),
        _ => Some(Finding::HeadBehind { id: newest.audit_id }),
    })
}

/// Goes from `newest` to the newest entry, as far as each one is whole and follows the one before.
async fn follow(transaction: &Transaction<'_>, newest: &mut Mark) -> Result<Option<Finding>, Error> {
    loop {
        let links = chain::links(transaction, newest.audit_id).await?;
        if links.is_empty() {
            return Ok(None);
        }
        for link in links {
            if link.id != newest.audit_id + 1 {
                return Ok(Some(Finding::Missing {
                    first: newest.audit_id + 1,
                    last: link.id - 1,
                }));
            }
            if link.prev != newest.hash {
                return Ok(Some(Finding::Replaced { id: newest.audit_id }));
            }
            if !link.is_whole() {
                return Ok(Some(Finding::Altered { id: link.id }));
            }
            (newest.audit_id, newest.hash) = (link.id, link.hash);
        }
    }
}

async fn lock(transaction: &Transaction<'_>) -> Result<bool, Error> {
    const LOCK: &str = "\
-- audit_checkpoint_lock
SELECT pg_try_advisory_xact_lock($1)";
    let row = transaction
        .query_one(LOCK, &[&CHECKPOINT_LOCK])
        .await
        .map_err(Error::statement("audit_checkpoint_lock"))?;
    Ok(row.get(0))
}

/// Sets the head to the newest entry.
async fn repair_head(transaction: &Transaction<'_>) -> Result<(), Error> {
    const REPAIR_HEAD: &str = "\
-- audit_repair_head
INSERT INTO audit_head (id, hash)
SELECT coalesce(max(id), 0), coalesce((SELECT hash FROM audit ORDER BY id DESC LIMIT 1), decode(repeat('00', 32), 'hex'))
FROM audit ON CONFLICT (singleton) DO UPDATE SET (id, hash) = (EXCLUDED.id, EXCLUDED.hash)";
    transaction
        .execute(REPAIR_HEAD, &[])
        .await
        .map_err(Error::statement("audit_repair_head"))?;
    Ok(())
}

async fn last(transaction: &Transaction<'_>) -> Result<Option<Stored>, Error> {
    const LAST: &str = "\
-- audit_last_checkpoint
SELECT number, audit_id, hash, (extract(epoch FROM at) * 1000000)::bigint, key_id, signature
FROM audit_checkpoint WHERE isfinite(at) ORDER BY number DESC LIMIT 1";
    let row = transaction
        .query_opt(LAST, &[])
        .await
        .map_err(Error::statement("audit_last_checkpoint"))?;
    Ok(row.as_ref().map(Stored::from_row))
}

async fn now_us(transaction: &Transaction<'_>) -> Result<i64, Error> {
    const NOW: &str = "\
-- now_us
SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";
    let row = transaction
        .query_one(NOW, &[])
        .await
        .map_err(Error::statement("now_us"))?;
    Ok(row.get(0))
}

async fn insert(transaction: &Transaction<'_>, new: &Stored) -> Result<(), Error> {
    const INSERT: &str = "\
-- audit_checkpoint
INSERT INTO audit_checkpoint (number, audit_id, hash, at, key_id, signature)
VALUES ($1, $2, $3, timestamptz 'epoch' + $4::bigint * interval '1 microsecond', $5, $6)";
    let Stored {
        number,
        audit_id,
        hash,
        at_us,
        key_id,
        signature,
    } = new;
    transaction
        .execute(INSERT, &[number, audit_id, hash, at_us, key_id, signature])
        .await
        .map_err(Error::statement("audit_checkpoint"))?;
    Ok(())
}

//! Looks through the whole trail for what somebody has changed, with the rights to change anything in the database.
//!
//! What is found: an entry that was altered, replaced or removed, a tail that was cut off, a trail that was written anew
//! without the signing key, a checkpoint that was removed or forged. What can't be found from the tables alone: the
//! entries since the last checkpoint, all removed without a trace, and a trail that was cut back to an earlier checkpoint
//! with everything behind it. For these compare with a mark that was kept elsewhere ([`Since`] has room for some).

use super::chain::Link;
use super::checkpoint::{Mark, Stored};
use super::{chain, checkpoint};
use crate::{Error, Store};
use std::fmt;
use tokio_postgres::{GenericClient, IsolationLevel};
use uuid::Uuid;

/// How old an entry may be without being covered by a checkpoint: collectors sign each minute.
pub const UNSIGNED_S: u32 = 600;

/// The most findings that are told.
const TOLD: usize = 1_000;

/// Checkpoints that are fetched at a time.
const PAGE: i64 = 2_000;

/// What to look at.
#[derive(Debug, Clone, Default)]
pub struct Since {
    /// Only entries with a higher number.
    pub after: i64,
    /// Entries that were there at some time, as a log or a note elsewhere says.
    pub known: Vec<Mark>,
}

/// Something that is not as vmscope left it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// The entry's fields are not those that its hash was made of.
    Altered {
        /// Which.
        id: i64,
    },
    /// The entry is not the one that the next one was added to.
    Replaced {
        /// Which.
        id: i64,
    },
    /// Entries are not there.
    Missing {
        /// The first one.
        first: i64,
        /// The last one.
        last: i64,
    },
    /// The newest entries are not there.
    Truncated {
        /// The first one.
        first: i64,
        /// The last one that is known of.
        last: i64,
    },
    /// A checkpoint, or what was kept elsewhere, has another hash for the entry: everything up to it may be invented.
    Rewritten {
        /// Which.
        id: i64,
    },
    /// The entry has a number below 1, which vmscope never gives: somebody has invented it.
    Invented {
        /// Which.
        id: i64,
    },
    /// The newest entry's number or hash is not what `audit_head` says.
    HeadBehind {
        /// The newest entry.
        id: i64,
    },
    /// `audit_head` is empty: nothing can be added any more.
    HeadGone,
    /// A checkpoint is not signed by a key of the vault.
    Forged {
        /// The checkpoint's number.
        checkpoint: i64,
        /// The entry that it claims to cover.
        id: i64,
    },
    /// Checkpoints are not there.
    CheckpointsMissing {
        /// The first one.
        first: i64,
        /// The last one.
        last: i64,
    },
    /// Entries are old and covered by no checkpoint.
    Unsigned {
        /// The first one.
        first: i64,
        /// The last one.
        last: i64,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Altered { id } => write!(f, "entry {id} was altered"),
            Self::Replaced { id } => write!(f, "entry {id} was replaced by another one"),
            Self::Missing { first, last } if first == last => write!(f, "entry {first} was removed"),
            Self::Missing { first, last } => write!(f, "entries {first} to {last} were removed"),
            Self::Truncated { first, last } => {
                write!(f, "the trail was cut off: entries {first} to {last} were removed")
            }
            Self::Rewritten { id } => write!(
                f,
                "entry {id} is not the one that was signed: it and those before may have been written anew"
            ),
            Self::Invented { id } => write!(f, "entry {id} was invented: numbers begin with 1"),
            Self::HeadBehind { id } => write!(
                f,
                "the head does not say that entry {id} is the newest: one of the two was altered"
            ),
            Self::HeadGone => write!(f, "the head was removed: nothing can be added to the trail"),
            Self::Forged { checkpoint, id } => write!(
                f,
                "checkpoint {checkpoint} at entry {id} is not signed by a key of this vault"
            ),
            Self::CheckpointsMissing { first, last } => {
                write!(f, "checkpoints {first} to {last} were removed")
            }
            Self::Unsigned { first, last } => write!(
                f,
                "entries {first} to {last} are covered by no checkpoint, though entry {first} is more than {UNSIGNED_S} s \
                 old: no collector with master keys has run since, or the checkpoints were removed"
            ),
        }
    }
}

/// What was looked at and what was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Entries that were looked at.
    pub entries: u64,
    /// Checkpoints that were looked at.
    pub checkpoints: u64,
    /// The newest entry that a genuine checkpoint covers.
    pub signed_to: i64,
    /// The newest entry; note it somewhere else and a cut is found even when the checkpoints were cut off with it.
    pub newest: Option<Mark>,
    /// What is wrong; the first thousand.
    pub findings: Vec<Finding>,
}

impl Report {
    fn add(&mut self, finding: Finding) {
        if self.findings.len() < TOLD && !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }
}

/// Looks at everything at one moment. `genuine(key, statement, signature)` says whether a signature is by that key of the
/// vault.
///
/// # Errors
/// The database's failures.
pub async fn verify(
    store: &Store,
    since: &Since,
    genuine: impl Fn(Uuid, &[u8], &[u8]) -> bool,
) -> Result<Report, Error> {
    let mut client = store.dedicated().await?;
    let transaction = client
        .build_transaction()
        .isolation_level(IsolationLevel::RepeatableRead)
        .read_only(true)
        .start()
        .await
        .map_err(Error::statement("audit_verify"))?;
    let mut report = Report::default();
    let highest = check_checkpoints(&transaction, since.after, genuine, &mut report).await?;
    for id in chain::strays(&transaction, PAGE).await? {
        report.add(Finding::Invented { id });
    }
    let marks = since.known.iter().filter(|mark| mark.audit_id > since.after);
    let known = marks.clone().map(|mark| mark.audit_id).max().unwrap_or(0);
    check_chain(&transaction, since.after, highest.max(known), &mut report).await?;
    for mark in marks {
        let found = chain::hash_of(&transaction, mark.audit_id).await?;
        // One that is missing is told by the chain.
        if found.is_some_and(|found| found != mark.hash) {
            report.add(Finding::Rewritten { id: mark.audit_id });
        }
    }
    Ok(report)
}

/// Each checkpoint's number, signature, and the hash that it gives its entry; the highest entry that one speaks of.
///
/// A checkpoint of a lower entry than those before it is made by acceptance alone, after a tail was cut off. Where it ends what is
/// not to be looked at, what the earlier ones say of higher entries is done with.
async fn check_checkpoints(
    client: &impl GenericClient,
    after: i64,
    genuine: impl Fn(Uuid, &[u8], &[u8]) -> bool,
    report: &mut Report,
) -> Result<i64, Error> {
    let (mut highest, mut number, mut signature) = (0, 0, Vec::new());
    loop {
        let page = checkpoint::page(client, number, PAGE).await?;
        if page.is_empty() {
            return Ok(highest);
        }
        for (stored, entry) in page {
            if stored.audit_id > after {
                if stored.number != number + 1 {
                    report.add(Finding::CheckpointsMissing {
                        first: number + 1,
                        last: stored.number - 1,
                    });
                } else if !genuine(stored.key_id, &stored.statement(&signature), &stored.signature) {
                    report.add(forged(&stored));
                }
                if entry.is_some_and(|hash| hash != stored.hash) {
                    report.add(Finding::Rewritten { id: stored.audit_id });
                }
                report.checkpoints += 1;
            } else if (1..highest).contains(&after)
                && stored.number == number + 1
                && genuine(stored.key_id, &stored.statement(&signature), &stored.signature)
            {
                report.findings.clear();
                (report.checkpoints, highest) = (0, 0);
            }
            if !report.findings.contains(&forged(&stored)) {
                report.signed_to = stored.audit_id;
            }
            highest = highest.max(stored.audit_id);
            (number, signature) = (stored.number, stored.signature);
        }
    }
}

const fn forged(stored: &Stored) -> Finding {
    Finding::Forged {
        checkpoint: stored.number,
        id: stored.audit_id,
    }
}

/// Each entry's number, hash, and the hash before it, up to the head and to `highest`.
async fn check_chain(
    client: &impl GenericClient,
    after: i64,
    highest: i64,
    report: &mut Report,
) -> Result<(), Error> {
    let mut last = Mark {
        audit_id: after,
        hash: chain::hash_of(client, after).await?.unwrap_or_default(),
    };
    let mut unsigned_age_s = 0.0;
    loop {
        let links = chain::links(client, last.audit_id).await?;
        if links.is_empty() {
            break;
        }
        for link in links {
            check_link(&link, &last, report);
            if link.id == report.signed_to + 1 {
                unsigned_age_s = link.age_s;
            }
            report.entries += 1;
            (last.audit_id, last.hash) = (link.id, link.hash);
        }
    }
    check_end(client, &last, highest, report).await?;
    if unsigned_age_s > f64::from(UNSIGNED_S) {
        report.add(Finding::Unsigned {
            first: report.signed_to + 1,
            last: last.audit_id,
        });
    }
    report.newest = Some(last);
    Ok(())
}

/// Whether the entry is whole and follows the last one.
fn check_link(link: &Link, last: &Mark, report: &mut Report) {
    if link.id != last.audit_id + 1 {
        report.add(Finding::Missing {
            first: last.audit_id + 1,
            last: link.id - 1,
        });
    } else if link.prev != last.hash {
        report.add(Finding::Replaced { id: last.audit_id });
    }
    if !link.is_whole() {
        report.add(Finding::Altered { id: link.id });
    }
}

async fn check_end(
    client: &impl GenericClient,
    last: &Mark,
    highest: i64,
    report: &mut Report,
) -> Result<(), Error> {
    let head = chain::head(client).await?;
    let end = head.as_ref().map_or(0, |(id, _)| *id).max(highest);
    if end > last.audit_id {
        report.add(Finding::Truncated {
            first: last.audit_id + 1,
            last: end,
        });
    }
    match head {
        None => report.add(Finding::HeadGone),
        // Above the newest entry: told already.
        Some((id, _)) if id > last.audit_id => {}
        Some((id, hash)) if id == last.audit_id && hash == last.hash => {}
        Some(_) => report.add(Finding::HeadBehind { id: last.audit_id }),
    }
    Ok(())
}

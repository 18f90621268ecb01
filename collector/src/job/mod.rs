//! Exports that are made while nobody waits.
//!
//! One task looks for jobs and makes them, one at a time; another one removes files that nobody has a right to any more. Any
//! number of collectors over one database may do so: a job is with one of them, by a lease that it renews while it works. When it
//! dies, another one begins the job again. What it left behind is removed under its attempt, which no job names.
//!
//! Invariants: the rights of the job's owner are those of the moment at which it is taken up. A file is seen only when it is
//! whole and its job says where it is. Memory does not grow with the file.

mod run;
mod sweep;

use crate::config::Exports;
use crate::database::Database;
use std::sync::Arc;
use std::time::Duration;
use vmscope_service::Lifecycle;
use vmscope_service::periodic::{self, Handle};
use vmscope_storage::{Config, Key, Storage};

/// How often it is looked whether there is a job.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// How often files are looked through.
const SWEEP_EVERY: Duration = Duration::from_secs(30);

/// The folder of keys that exports are in.
const FOLDER: &str = "exports";

/// Starts making exports, if there is a place for them.
pub(crate) fn spawn(
    lifecycle: &Lifecycle,
    database: &Arc<Database>,
    collector: &str,
    storage: &Config,
    settings: &Exports,
) -> Option<Handle> {
    let storage = Storage::find(storage)?;
    let runner = run::Runner {
        database: Arc::clone(database),
        collector: collector.to_owned(),
        storage: storage.clone(),
        keep: Duration::from_hours(24) * settings.keep_days.get(),
        file_max_bytes: settings.file_max_bytes.get(),
    };
    lifecycle.spawn("exports", runner.run(lifecycle.stopping()));
    let sweep = sweep::Sweep {
        database: Arc::clone(database),
        storage,
    };
    Some(periodic::spawn(lifecycle, sweep, SWEEP_EVERY))
}

/// Where the file of an attempt is.
fn key(id: uuid::Uuid, attempt: i32, extension: &str) -> Result<Key, vmscope_storage::Error> {
    format!("{FOLDER}/{id}-{attempt}.{extension}").parse()
}

/// Whose file it is, by its key; none for what is not ours.
fn owner(key: &Key) -> Option<(uuid::Uuid, i32)> {
    let (stem, _) = key.name().split_once('.')?;
    let (id, attempt) = stem.rsplit_once('-')?;
    Some((id.parse().ok()?, attempt.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_names_the_attempt_that_made_it() {
        let id = uuid::Uuid::from_u128(7);
        let key = key(id, 3, "parquet").expect("a key");
        assert_eq!(owner(&key), Some((id, 3)));
        assert_eq!(owner(&"exports/notes.txt".parse().expect("a key")), None);
    }
}

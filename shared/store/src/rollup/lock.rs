//! Who makes rollups: whoever holds an advisory lock, on the connection that does the work.
//!
//! When the holder dies, the server ends its connection, and by that its transaction and its lock at once. A holder that is frozen
//! keeps both: who wants the lock then ends a connection whose server has waited for its client for [`FROZEN_S`].

use crate::Error;
use tokio_postgres::Client;

/// Key of the lock: "vmroll" in ASCII. The server shows its halves as two numbers.
const ROLLUP_LOCK: i64 = 0x766d_726f_6c6c;

/// How long a server may wait for a client that holds the lock.
const FROZEN_S: i64 = 120;

/// Takes the lock for as long as the connection lives; says whether it is to be had.
pub(super) async fn take(client: &Client) -> Result<bool, Error> {
    const TAKE_LOCK: &str = "\
-- rollup_lock
SELECT pg_try_advisory_lock($1)";
    let row = client
        .query_one(TAKE_LOCK, &[&ROLLUP_LOCK])
        .await
        .map_err(Error::statement("rollup_lock"))?;
    let taken: bool = row.get(0);
    if !taken {
        end_frozen(client).await?;
    }
    Ok(taken)
}

/// Gives the lock back.
pub(super) async fn give_back(client: &Client) -> Result<(), Error> {
    const GIVE_BACK: &str = "\
-- rollup_unlock
SELECT pg_advisory_unlock($1)";
    client
        .execute(GIVE_BACK, &[&ROLLUP_LOCK])
        .await
        .map(drop)
        .map_err(Error::statement("rollup_unlock"))
}

async fn end_frozen(client: &Client) -> Result<(), Error> {
    const END_FROZEN: &str = "\
-- end_frozen_rollup
SELECT pg_terminate_backend(a.pid) FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND l.classid::int8 << 32 | l.objid::int8 = $1
    AND a.wait_event_type = 'Client' AND a.state_change < now() - make_interval(secs => $2::int8::float8)";
    let ended = client
        .query(END_FROZEN, &[&ROLLUP_LOCK, &FROZEN_S])
        .await
        .map_err(Error::statement("end_frozen_rollup"))?;
    if !ended.is_empty() {
        tracing::warn!("ended the rollup of a collector that does not go on");
    }
    Ok(())
}

//! What the web servers' database role may do: read everything, write what is theirs, and add to the audit trail and enter manual
//! virtual machines by the functions that do so.
//!
//! The collector grants, because it makes the tables and owns them. Whatever else was granted to the role on these tables is
//! taken back. A web server asks for [`excess`] at its start: with the collector's own role, say, it could do anything.

use super::SCHEMA_LOCK;
use crate::{Error, Store};
use tokio_postgres::GenericClient;

/// The tables that web servers write.
pub const WRITTEN_BY_WEB: &[&str] = &[
    "secret",
    "user_account",
    "recovery_code",
    "role",
    "role_entry",
    "role_parent",
    "access_grant",
    "vm_group",
    "vm_group_member",
    "vm_group_child",
    "vm_label",
    "host_label",
    "vm_search",
    "login_session",
    "refresh_token",
    "login_failure",
    "api_token",
    "signing_key",
    "setup_code",
    "export_job",
];

/// The functions that web servers call, which write with their owner's rights what the role may not.
const CALLED_BY_WEB: &[&str] = &[
    "audit_append",
    "vm_add_manual",
    "vm_change_manual",
    "vm_remove_manual",
];

/// Brings the rights of `role` on the tables of vmscope to what web servers need, no less and no more.
///
/// # Errors
/// [`Error::WebRole`] when there is no such role or when it is the one that asks; the database's failures.
pub async fn grant_web(store: &Store, role: &str) -> Result<(), Error> {
    const LOCK: &str = "\
-- privilege_lock
SELECT pg_advisory_xact_lock($1)";
    let mut client = store.dedicated().await?;
    let transaction = client
        .transaction()
        .await
        .map_err(Error::statement("grant_web"))?;
    transaction
        .execute(LOCK, &[&SCHEMA_LOCK])
        .await
        .map_err(Error::statement("privilege_lock"))?;
    let quoted = grantee(&transaction, role).await?;
    if fits(&transaction, role).await? {
        return Ok(());
    }
    let role = quoted;
    let tables = tables(&transaction).await?.join(", ");
    let written = WRITTEN_BY_WEB.join(", ");
    let called = CALLED_BY_WEB.join(", ");
    let schema = schema(&transaction).await?;
    let statements = format!(
        "-- grant_web\n\
         GRANT USAGE ON SCHEMA {schema} TO {role};\n\
         REVOKE ALL ON {tables} FROM {role};\n\
         GRANT SELECT ON {tables} TO {role};\n\
         GRANT INSERT, UPDATE, DELETE ON {written} TO {role};\n\
         GRANT EXECUTE ON FUNCTION {called} TO {role}"
    );
    transaction
        .batch_execute(&statements)
        .await
        .map_err(Error::statement("grant_web"))?;
    transaction.commit().await.map_err(Error::statement("grant_web"))
}

/// What the asking role may do beyond what web servers need, in words for the log; empty when all is well.
///
/// # Errors
/// The database's failures.
pub async fn excess(store: &Store) -> Result<Vec<String>, Error> {
    // Owning a table, also by membership, is the right to grant oneself all others. A right on one column is one too many.
    const EXCESS: &str = "\
-- privilege_excess
SELECT format('%s on %s', string_agg(w.word, ', ' ORDER BY w.word), c.relname)
FROM pg_class c
CROSS JOIN unnest(ARRAY['insert', 'update', 'delete', 'truncate', 'own']) AS w (word)
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
    AND CASE WHEN w.word = 'own' THEN pg_has_role(c.relowner, 'MEMBER')
        WHEN w.word IN ('insert', 'update') THEN has_any_column_privilege(c.oid, w.word)
        ELSE has_table_privilege(c.oid, w.word) END
    AND NOT (c.relname = ANY ($1) AND w.word IN ('insert', 'update', 'delete'))
GROUP BY c.relname
UNION ALL SELECT 'create in schema ' || current_schema() WHERE has_schema_privilege(current_schema(), 'CREATE')
UNION ALL SELECT 'everything: it is a superuser' FROM pg_roles WHERE rolname = current_user AND rolsuper
ORDER BY 1";
    let client = store.get().await?;
    let rows = client
        .query(EXCESS, &[&WRITTEN_BY_WEB])
        .await
        .map_err(Error::statement("privilege_excess"))?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Makes a role that can log in, or gives it another password: for a database that belongs to vmscope alone.
///
/// # Errors
/// The database's failures.
pub async fn make_login(store: &Store, role: &str, password: &str) -> Result<(), Error> {
    const MAKE_LOGIN: &str = "\
-- make_login
SELECT format(CASE WHEN EXISTS (SELECT FROM pg_roles WHERE rolname = $1) THEN 'ALTER ROLE %I LOGIN PASSWORD %L'
    ELSE 'CREATE ROLE %I LOGIN PASSWORD %L' END, $1::text, $2::text)";
    let client = store.get().await?;
    let row = client
        .query_one(MAKE_LOGIN, &[&role, &password])
        .await
        .map_err(Error::statement("make_login"))?;
    client
        .batch_execute(row.get(0))
        .await
        .map_err(Error::statement("make_login"))
}

/// The role, quoted for a statement, once it is known that it can be granted to.
async fn grantee(client: &impl GenericClient, role: &str) -> Result<String, Error> {
    const GRANTEE: &str = "\
-- grantee
SELECT quote_ident(rolname), rolname = current_user FROM pg_roles WHERE rolname = $1";
    let refused = |problem| Error::WebRole {
        role: role.to_owned(),
        problem,
    };
    let row = client
        .query_opt(GRANTEE, &[&role])
        .await
        .map_err(Error::statement("grantee"))?
        .ok_or_else(|| refused("there is no such role"))?;
    if row.get(1) {
        return Err(refused("it is the collector's own"));
    }
    Ok(row.get(0))
}

/// Whether the role's rights are as they should be already: then nothing is written at each start of a collector.
async fn fits(client: &impl GenericClient, role: &str) -> Result<bool, Error> {
    const FITS: &str = "\
-- privilege_fits
SELECT has_schema_privilege($1::text, current_schema(), 'USAGE')
    AND coalesce((SELECT bool_and(has_function_privilege($1::text, oid, 'EXECUTE')) FROM pg_proc
        WHERE proname = ANY ($3) AND pronamespace = current_schema()::regnamespace), false)
    AND NOT EXISTS (
        SELECT FROM pg_class c
        CROSS JOIN unnest(ARRAY['select', 'insert', 'update', 'delete', 'truncate', 'references', 'trigger']) AS w (word)
        CROSS JOIN LATERAL (
            SELECT w.word = 'select' OR c.relname = ANY ($2) AND w.word IN ('insert', 'update', 'delete')) AS n (needed)
        WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
            AND pg_has_role(c.relowner, 'USAGE')
            AND CASE WHEN NOT n.needed AND w.word IN ('insert', 'update', 'references')
                THEN has_any_column_privilege($1::text, c.oid, w.word)
                ELSE has_table_privilege($1::text, c.oid, w.word) <> n.needed END)";
    let row = client
        .query_one(FITS, &[&role, &WRITTEN_BY_WEB, &CALLED_BY_WEB])
        .await
        .map_err(Error::statement("privilege_fits"))?;
    Ok(row.get(0))
}

/// The tables of vmscope, quoted; those that are part of another one have its rights.
async fn tables(client: &impl GenericClient) -> Result<Vec<String>, Error> {
    const TABLES: &str = "\
-- own_tables
SELECT c.oid::regclass::text FROM pg_class c
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
    AND pg_has_role(c.relowner, 'USAGE')
ORDER BY 1";
    let rows = client
        .query(TABLES, &[])
        .await
        .map_err(Error::statement("own_tables"))?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

async fn schema(client: &impl GenericClient) -> Result<String, Error> {
    const SCHEMA: &str = "\
-- own_schema
SELECT quote_ident(current_schema())";
    let row = client
        .query_one(SCHEMA, &[])
        .await
        .map_err(Error::statement("own_schema"))?;
    Ok(row.get(0))
}

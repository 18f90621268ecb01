//! What the web servers' database role may do, tried by that role on the server.

use tokio_postgres::error::SqlState;
use uuid::Uuid;
use vmscope_store::audit::{self, Actor, Context, Entry};
use vmscope_store::testing::Database;
use vmscope_store::{Error, Store, collector, on_both_flavors, schema, vm};

/// A role that may log in and do nothing else. Roles are the server's, not the database's: it is dropped at the end.
struct Role {
    name: String,
}

impl Role {
    async fn make(database: &Database) -> Self {
        let name = format!("web_{}", Uuid::new_v4().simple());
        schema::make_login(database.store(), &name, "it's \"secret\"")
            .await
            .unwrap();
        Self { name }
    }

    /// The database as this role.
    fn store(&self, database: &Database) -> Store {
        let url = database.url();
        let (scheme, rest) = url.split_once("://").unwrap();
        let host = rest.split_once('@').map_or(rest, |(_, host)| host);
        Store::new(&format!("{scheme}://{}:it%27s%20%22secret%22@{host}", self.name)).unwrap()
    }

    async fn drop(self, database: &Database) {
        let statements = format!("DROP OWNED BY {0}; DROP ROLE {0}", self.name);
        database
            .client()
            .await
            .unwrap()
            .batch_execute(&statements)
            .await
            .unwrap();
    }
}

/// Whether the server refuses the statement to the role for want of a right.
async fn is_refused(database: &Database, role: &Role, statement: &str) -> bool {
    let mut client = database.client().await.unwrap();
    let transaction = client.transaction().await.unwrap();
    transaction
        .batch_execute(&format!("SET LOCAL ROLE {}", role.name))
        .await
        .unwrap();
    match transaction.batch_execute(statement).await {
        Ok(()) => false,
        Err(error) => {
            assert_eq!(
                error.code(),
                Some(&SqlState::INSUFFICIENT_PRIVILEGE),
                "{statement}: {error}"
            );
            true
        }
    }
}

/// All tables of vmscope.
async fn tables(database: &Database) -> Vec<String> {
    let query = "SELECT relname::text FROM pg_class
        WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition ORDER BY 1";
    let rows = database.client().await.unwrap().query(query, &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

on_both_flavors! {
    async fn the_role_of_web_servers_reads_everything_and_writes_only_what_is_theirs(database: Database) {
        let role = Role::make(&database).await;
        schema::grant_web(database.store(), &role.name).await.unwrap();
        let tables = tables(&database).await;
        assert!(tables.len() > 20, "{tables:?}");
        for table in &tables {
            assert!(!is_refused(&database, &role, &format!("SELECT count(*) FROM {table}")).await, "reads {table}");
            assert!(is_refused(&database, &role, &format!("TRUNCATE {table} CASCADE")).await, "truncates {table}");
            let theirs = schema::WRITTEN_BY_WEB.contains(&table.as_str());
            for statement in [format!("DELETE FROM {table}"), format!("INSERT INTO {table} DEFAULT VALUES")] {
                if !theirs {
                    assert!(is_refused(&database, &role, &statement).await, "{statement}");
                }
            }
        }
        for statement in [
            "UPDATE audit SET actor_name = 'Bert'",
            "UPDATE audit_head SET id = 0",
            "UPDATE audit_checkpoint SET audit_id = 0",
            "ALTER TABLE audit DISABLE TRIGGER ALL",
            "DROP TABLE audit",
            "DROP FUNCTION audit_append",
            "UPDATE retired_master_key SET id = ''",
            "UPDATE host SET name = ''",
            "CREATE TABLE other (id integer)",
        ] {
            if statement.starts_with("CREATE") && !schema_is_closed(&database).await {
                continue;
            }
            assert!(is_refused(&database, &role, statement).await, "{statement}");
        }
        for table in schema::WRITTEN_BY_WEB {
            assert!(!is_refused(&database, &role, &format!("DELETE FROM {table} WHERE false")).await, "writes {table}");
        }
        role.drop(&database).await;
    }

    async fn the_role_adds_to_the_audit_trail_and_reads_what_pages_show(database: Database) {
        let role = Role::make(&database).await;
        let context = Context {
            actor: Actor::System { name: "test".to_owned() },
            remote: String::new(),
            request_id: String::new(),
        };
        let web = role.store(&database);
        let early = audit::record(&web, &context, &Entry::done("x")).await;
        assert!(early.is_err(), "not before anything was granted");
        schema::grant_web(database.store(), &role.name).await.unwrap();
        schema::check(&web).await.unwrap();
        assert_eq!(audit::record(&web, &context, &Entry::done("x")).await.unwrap(), 1);
        assert_eq!(audit::list(&web, &audit::Filter { limit: 10, ..Default::default() }).await.unwrap().len(), 1);
        assert_eq!(collector::activities(&web).await.unwrap(), []);
        assert_eq!(vm::list(&web, &vm::Filter::default()).await.unwrap().total, 0);
        role.drop(&database).await;
    }

    async fn what_was_granted_besides_is_taken_back(database: Database) {
        let role = Role::make(&database).await;
        let client = database.client().await.unwrap();
        client.batch_execute(&format!("GRANT ALL ON audit, host TO {}", role.name)).await.unwrap();
        let web = role.store(&database);
        let before = schema::excess(&web).await.unwrap();
        assert!(before.contains(&"delete, insert, truncate, update on audit".to_owned()), "{before:?}");
        schema::grant_web(database.store(), &role.name).await.unwrap();
        // A right on a column does not show as one on its table.
        client.batch_execute(&format!("GRANT UPDATE (actor_name) ON audit TO {}", role.name)).await.unwrap();
        let column = schema::excess(&web).await.unwrap();
        assert!(column.contains(&"update on audit".to_owned()), "{column:?}");
        assert!(!is_refused(&database, &role, "UPDATE audit SET actor_name = 'Bert'").await);
        schema::grant_web(database.store(), &role.name).await.unwrap();
        assert!(is_refused(&database, &role, "UPDATE audit SET actor_name = 'Bert'").await);
        schema::grant_web(database.store(), &role.name).await.unwrap();
        let after = schema::excess(&web).await.unwrap();
        assert!(after.iter().all(|excess| excess.starts_with("create in schema")), "{after:?}");
        let own = schema::excess(database.store()).await.unwrap();
        assert!(own.iter().any(|excess| excess.contains("superuser")), "{own:?}");
        assert!(own.iter().any(|excess| excess.starts_with("own") || excess.contains(" own")), "{own:?}");
        role.drop(&database).await;
    }

    async fn a_role_that_can_not_be_used_is_named(database: Database) {
        let refused = schema::grant_web(database.store(), "no_such_role").await;
        assert!(matches!(&refused, Err(Error::WebRole { role, .. }) if role == "no_such_role"), "{refused:?}");
        let client = database.client().await.unwrap();
        let own: String = client.query_one("SELECT current_user::text", &[]).await.unwrap().get(0);
        let refused = schema::grant_web(database.store(), &own).await;
        assert!(matches!(refused, Err(Error::WebRole { .. })), "{refused:?}");
    }
}

/// PostgreSQL 14 lets everybody create things in the schema public; later ones do not.
async fn schema_is_closed(database: &Database) -> bool {
    let query = "SELECT NOT has_schema_privilege('public', current_schema(), 'CREATE')";
    let client = database.client().await.unwrap();
    client.query_one(query, &[]).await.unwrap().get(0)
}

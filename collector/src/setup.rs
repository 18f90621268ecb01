//! The code that makes the first user. Who reads this program's log or starts it may set the installation up; nobody else.

use crate::database::chain;
use vmscope_store::access::Failure;
use vmscope_store::audit::{Actor, Context};
use vmscope_store::{Error, Store, setup};
use vmscope_vault::code;

/// Says in the log which code makes the first user, if there is none and no code was told before.
///
/// # Errors
/// The database's failures.
pub(crate) async fn announce(store: &Store) -> Result<(), Error> {
    if let Some(code) = offer(store, true).await? {
        tracing::warn!(
            setup.code = code,
            "nobody can log in yet: open the dashboard and give this code, or run vmscope-collector user create"
        );
    }
    Ok(())
}

/// Makes a code that makes the first user; the ones before are worth nothing any more, unless `unless_there` keeps them. `None`
/// when they are kept, or there is a user.
///
/// # Errors
/// The database's failures.
pub(crate) async fn offer(store: &Store, unless_there: bool) -> Result<Option<String>, Error> {
    let code = match code::generate() {
        Ok(code) => code,
        Err(error) => {
            tracing::error!(error = chain(&error), "no set-up code can be made");
            return Ok(None);
        }
    };
    let context = Context {
        actor: Actor::System {
            name: "collector".to_owned(),
        },
        remote: String::new(),
        request_id: String::new(),
    };
    match setup::offer(store, &context, &code::digest(&code), unless_there).await {
        Ok(offered) => Ok(offered.then_some(code)),
        Err(Failure::Database(error)) => Err(error),
        // A code breaks no rule of its table.
        Err(Failure::Refused(_)) => Ok(None),
    }
}

//! `vmscope-collector user`: people, for whoever can't or may not do it in the dashboard.
//!
//! A password comes from a file or from standard input, never as an argument, which everybody on the machine could read.

use super::{ConfigFile, moment, operator, print, table};
use crate::setup;
use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use std::io::{IsTerminal, Read};
use std::path::PathBuf;
use vmscope_model::access::Scope;
use vmscope_store::access::Authority;
use vmscope_store::grant::{self, NewGrant};
use vmscope_store::user::{self, Filter, NewPassword, NewUser, User};
use vmscope_store::{Paging, Store, lockout, role, second_factor, secret};
use vmscope_vault::password;

/// More than a password and its end of line.
const LONGEST_INPUT: u64 = 4096;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a user with a role for everything.
    Create(Create),
    /// List users.
    List(ConfigFile),
    /// Delete a user, with his grants, sessions and tokens.
    Delete(Named),
    /// Give a user another password, which he must change when he logs in. His sessions end; his tokens stay.
    ResetPassword {
        #[command(flatten)]
        user: Named,
        #[command(flatten)]
        password: Password,
    },
    /// Let a user log in without his second factor, until he sets up another one.
    ResetSecondFactor(Named),
    /// Let a user log in again who was locked after failures.
    Unlock(Named),
    /// Make a code for the first page of the dashboard, and print it; the one before is worth nothing any more.
    SetupCode(ConfigFile),
}

#[derive(Debug, Args)]
pub(super) struct Named {
    /// Name or e-mail address of the user.
    user: String,
    #[command(flatten)]
    file: ConfigFile,
}

#[derive(Debug, Args)]
pub(super) struct Password {
    /// File whose first line is the password; without it, that of standard input.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct Create {
    /// Name to log in with.
    name: String,
    #[command(flatten)]
    file: ConfigFile,
    #[command(flatten)]
    password: Password,
    /// Name of the role: viewer, operator, admin, `super_admin`, or one of your own.
    #[arg(long, value_name = "ROLE")]
    role: String,
    /// E-mail address, to log in with as well.
    #[arg(long)]
    email: Option<String>,
    /// What the user wants to be called.
    #[arg(long, default_value = "")]
    display_name: String,
    /// Language of the dashboard: en, zh-CN or ja-JP.
    #[arg(long, default_value = "en", value_parser = ["en", "zh-CN", "ja-JP"])]
    language: String,
    /// The password must be changed at the first login.
    #[arg(long)]
    must_change_password: bool,
}

pub(super) async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Create(options) => create(&options).await,
        Command::List(file) => list(&file.store().await?).await,
        Command::Delete(named) => delete(&named).await,
        Command::ResetPassword { user, password } => reset_password(&user, &password).await,
        Command::ResetSecondFactor(named) => reset_second_factor(&named).await,
        Command::Unlock(named) => {
            let (store, user) = named.find().await?;
            Ok(lockout::unlock(&store, &operator(), Authority::System, user.id).await?)
        }
        Command::SetupCode(file) => match setup::offer(&file.store().await?, false).await? {
            Some(code) => print(&code),
            None => bail!("there is a user: use user create or user reset-password"),
        },
    }
}

impl Named {
    async fn find(&self) -> anyhow::Result<(Store, User)> {
        let store = self.file.store().await?;
        let user = user::find_by_login(&store, &self.user).await?;
        let user = user.with_context(|| format!("there is no user {}", self.user))?;
        Ok((store, user))
    }
}

impl Password {
    /// The hash of the password that is given, if a user of this name may have it.
    fn hash(&self, name: &str) -> anyhow::Result<String> {
        let password = self.read()?;
        let weaknesses = password::weaknesses(&password, name);
        if !weaknesses.is_empty() {
            let words: Vec<String> = weaknesses.iter().map(ToString::to_string).collect();
            bail!("the password is not taken: {}", words.join("; "));
        }
        Ok(password::hash(&password)?)
    }

    fn read(&self) -> anyhow::Result<String> {
        let mut text = String::new();
        match &self.password_file {
            Some(path) => {
                let file =
                    std::fs::File::open(path).with_context(|| format!("{} can't be read", path.display()))?;
                file.take(LONGEST_INPUT).read_to_string(&mut text)?;
            }
            None if std::io::stdin().is_terminal() => {
                bail!(
                    "the terminal would show the password: give it on standard input, or with --password-file"
                )
            }
            None => {
                std::io::stdin().take(LONGEST_INPUT).read_to_string(&mut text)?;
            }
        }
        Ok(text.lines().next().unwrap_or_default().to_owned())
    }
}

async fn create(options: &Create) -> anyhow::Result<()> {
    let store = options.file.store().await?;
    let roles = role::list(&store).await?;
    let role = roles
        .iter()
        .find(|role| role.name.eq_ignore_ascii_case(&options.role));
    let role = role.with_context(|| format!("there is no role {}", options.role))?;
    let new = NewUser {
        name: options.name.clone(),
        email: options.email.clone(),
        display_name: options.display_name.clone(),
        language: options.language.clone(),
        password_hash: options.password.hash(&options.name)?,
        must_change_password: options.must_change_password,
    };
    let made = user::create(&store, &operator(), &new).await?;
    let grant = NewGrant {
        user: made.id,
        role: role.id,
        scope: Scope::All,
        expires_at: None,
    };
    grant::create(&store, &operator(), Authority::System, &grant).await?;
    Ok(())
}

async fn list(store: &Store) -> anyhow::Result<()> {
    let head = ["NAME", "STATE", "SECOND FACTOR", "LAST LOGIN", "EMAIL", "ROLES"];
    let mut rows = vec![head.map(ToOwned::to_owned).to_vec()];
    let mut filter = Filter {
        paging: Paging {
            page: 1,
            page_size: Paging::MAX_SIZE,
        },
        ..Filter::default()
    };
    loop {
        let page = user::list(store, &filter).await?;
        for user in &page.items {
            let grants = grant::list(store, user.id).await?;
            let roles = grants.iter().filter(|grant| !grant.expired);
            let roles: Vec<String> = roles
                .map(|grant| scoped(&grant.role_name, &grant.scope_name))
                .collect();
            rows.push(vec![
                user.name.clone(),
                state(user).to_owned(),
                if user.two_factor { "on" } else { "off" }.to_owned(),
                moment(user.last_login_at),
                user.email.clone().unwrap_or_else(|| "-".to_owned()),
                roles.join(", "),
            ]);
        }
        if page.items.len() < Paging::MAX_SIZE as usize {
            return print(&table(&rows));
        }
        filter.paging.page += 1;
    }
}

fn scoped(role: &str, scope: &str) -> String {
    if scope.is_empty() {
        role.to_owned()
    } else {
        format!("{role} for {scope}")
    }
}

const fn state(user: &User) -> &'static str {
    match user {
        user if user.disabled_at.is_some() => "disabled",
        user if user.locked_until.is_some() => "locked",
        user if user.must_change_password => "must change password",
        _ => "active",
    }
}

async fn delete(named: &Named) -> anyhow::Result<()> {
    let (store, user) = named.find().await?;
    let factor = user::delete(&store, &operator(), Authority::System, user.id).await?;
    forget(&store, factor).await
}

async fn reset_password(named: &Named, password: &Password) -> anyhow::Result<()> {
    let (store, user) = named.find().await?;
    let hash = password.hash(&user.name)?;
    let new = NewPassword {
        hash: &hash,
        must_change: true,
        keep_session: None,
    };
    Ok(user::set_password(&store, &operator(), Authority::System, user.id, new).await?)
}

async fn reset_second_factor(named: &Named) -> anyhow::Result<()> {
    let (store, user) = named.find().await?;
    let factor = second_factor::disable(&store, &operator(), Authority::System, user.id).await?;
    forget(&store, factor).await
}

/// Removes the sealed secret of a second factor that is asked for no more.
async fn forget(store: &Store, factor: Option<uuid::Uuid>) -> anyhow::Result<()> {
    if let Some(id) = factor {
        secret::remove(store, id).await?;
    }
    Ok(())
}

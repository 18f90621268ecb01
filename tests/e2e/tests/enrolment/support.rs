//! What these tests share.

use anyhow::ensure;
use std::time::Duration;
use tokio_postgres::Client;
use vmscope_harness::account::Account;
use vmscope_harness::centre::{Centre, Machine, Token, holds};
use vmscope_harness::daemon::Daemon;
use vmscope_harness::site::eventually;
use vmscope_store::Flavor;
use vmscope_store::testing::Database;

/// How long anything may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);
/// Life of certificates that are not renewed in a test.
pub(crate) const HOUR_S: u32 = 3_600;

/// A centre over a database of its own.
pub(crate) async fn centre(certificate_lifetime_s: u32) -> (Database, Centre) {
    let database = Database::create(Flavor::Postgres).await.unwrap();
    let centre = Centre::new(database.url(), certificate_lifetime_s).unwrap();
    (database, centre)
}

/// Rows of a host's samples.
pub(crate) async fn samples(client: &Client, machine: &Machine) -> anyhow::Result<i64> {
    let query = "SELECT count(*) FROM host_sample s JOIN host h ON h.id = s.entity_id WHERE h.uuid = $1";
    Ok(client.query_one(query, &[&machine.host()?.0]).await?.get(0))
}

/// Waits until a host has some more samples than now.
pub(crate) async fn delivers(client: &Client, machine: &Machine) -> anyhow::Result<()> {
    let before = samples(client, machine).await.unwrap_or(0);
    eventually("samples arrive", PATIENCE, async || {
        Ok(samples(client, machine).await? > before + 2)
    })
    .await
}

pub(crate) async fn logged(machine: &Machine, text: &str) -> anyhow::Result<()> {
    eventually(&format!("{text:?} in the agent's log"), PATIENCE, async || {
        holds(&machine.log(), text)
    })
    .await
}

/// Stops an agent, and compares what it took with what is stored.
pub(crate) async fn balance(agent: Daemon, machine: &Machine, client: &Client) -> anyhow::Result<()> {
    agent.stop()?;
    let verdict = Account::read(&machine.account())?
        .compare(client, machine.host()?)
        .await?;
    ensure!(verdict.faults.is_empty() && verdict.ticks > 0, "{verdict:?}");
    Ok(())
}

/// An agent that has enrolled and runs.
pub(crate) async fn running(
    centre: &Centre,
    client: &Client,
    name: &str,
) -> anyhow::Result<(Machine, Daemon)> {
    let machine = centre.machine(name)?;
    machine.enrol(&centre.token(&[])?, &[])?;
    let agent = machine.start()?;
    delivers(client, &machine).await?;
    Ok((machine, agent))
}

/// What `vmscope-agent enrol` says when it fails.
pub(crate) fn refusal(machine: &Machine, token: &Token, more: &[&str]) -> String {
    format!("{:#}", machine.enrol(token, more).expect_err("a refusal"))
}

/// How many enrolments came to `outcome`.
pub(crate) fn enrolments(centre: &Centre, outcome: &str) -> u64 {
    let name = format!("vmscope_collector_enrolments_total{{outcome=\"{outcome}\"}}");
    centre.metric(&name).unwrap()
}

//! The next certificate, and the next authority.

use crate::support::{PATIENCE, balance, centre, delivers, logged, running};
use vmscope_harness::centre::{Centre, Machine, holds, metric};
use vmscope_harness::site::eventually;

/// Life of a certificate that is renewed within a test, in seconds.
const SHORT_S: u32 = 20;
/// Short enough for an agent to learn of other roots within seconds.
const MINUTES_S: u32 = 240;

fn sessions(machine: &Machine) -> u64 {
    metric(machine.admin, "vmscope_agent_uplink_sessions_total").unwrap()
}

/// Waits until an agent has renewed its certificate so often.
async fn renewals(machine: &Machine, count: u64) {
    eventually("renewals", PATIENCE, async || {
        Ok(metric(machine.admin, "vmscope_agent_uplink_renewals_total")? >= count)
    })
    .await
    .unwrap();
}

/// Waits until an agent trusts so many roots.
async fn trusts(machine: &Machine, roots: usize) {
    eventually("the roots that the agent trusts", PATIENCE, async || {
        let text = std::fs::read_to_string(machine.identity("ca.pem"))?;
        Ok(text.matches("BEGIN CERTIFICATE").count() == roots)
    })
    .await
    .unwrap();
}

/// Waits until the newest recorded certificate of some host is of the root.
async fn signed_by(centre: &Centre, root: &str) {
    eventually("a certificate by the root", PATIENCE, async || {
        Ok(centre.command(&["host", "list"])?.contains(&root[..11]))
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn short_lived_certificates_are_renewed_while_samples_flow() {
    let (_database, centre) = centre(SHORT_S).await;
    let collector = centre.start().unwrap();
    let client = centre.connect().await.unwrap();
    let (machine, agent) = running(&centre, &client, "machine").await.unwrap();
    let read = |name| std::fs::read(machine.identity(name)).unwrap();
    let first = (read("certificate.pem"), read("key.pem"));
    renewals(&machine, 2).await;
    assert_ne!(read("certificate.pem"), first.0);
    assert_ne!(read("key.pem"), first.1);
    assert_eq!(sessions(&machine), 1, "one session all along");
    // The first certificate is dead by now: only a renewed one opens a session.
    drop(collector);
    let _collector = centre.start().unwrap();
    delivers(&client, &machine).await.unwrap();
    renewals(&machine, 3).await;
    balance(agent, &machine, &client).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_was_off_for_too_long_says_what_to_do_and_keeps_its_samples() {
    let (_database, centre) = centre(SHORT_S).await;
    let _collector = centre.start().unwrap();
    let client = centre.connect().await.unwrap();
    let (machine, agent) = running(&centre, &client, "machine").await.unwrap();
    balance(agent, &machine, &client).await.unwrap();
    // TLS counts whole seconds.
    let over = "SELECT max(expires_at) < now() - interval '2 s' FROM certificate";
    eventually("the certificate expires", PATIENCE, async || {
        Ok(client.query_one(over, &[]).await?.get(0))
    })
    .await
    .unwrap();
    let agent = machine.start().unwrap();
    let host = machine.host().unwrap().to_string();
    logged(&machine, "certificate has expired").await.unwrap();
    logged(&machine, &format!("enrol token create --host {host}"))
        .await
        .unwrap();
    let explicit = centre.token(&["--host", &host]).unwrap();
    machine.enrol(&explicit, &[]).unwrap();
    delivers(&client, &machine).await.unwrap();
    balance(agent, &machine, &client).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_takes_the_place_of_another_under_running_agents() {
    let (_database, centre) = centre(MINUTES_S).await;
    let collector = centre.start().unwrap();
    let client = centre.connect().await.unwrap();
    let (machine, agent) = running(&centre, &client, "machine").await.unwrap();
    let left_behind = machine.stolen(&centre, "left-behind").unwrap();

    let shown = centre.ca("rotate", &[]).unwrap();
    let (new_root, old_root) = shown.trim().split_once('\n').expect("two roots");
    let pin = centre.token(&[]).unwrap().pin;
    assert_eq!(pin, old_root, "the collector still shows its old certificate");
    trusts(&machine, 2).await;
    signed_by(&centre, new_root).await;
    let (late, late_agent) = running(&centre, &client, "late").await.unwrap();
    trusts(&late, 2).await;

    centre.issue_collector().unwrap();
    eventually("the collector takes over", PATIENCE, async || {
        holds(&centre.log(), "certificates changed on disk and are in use")
    })
    .await
    .unwrap();
    assert_eq!(centre.token(&[]).unwrap().pin, new_root);
    centre.ca("retire", &[]).unwrap();
    for machine in [&machine, &late] {
        trusts(machine, 1).await;
        delivers(&client, machine).await.unwrap();
        assert_eq!(sessions(machine), 1, "one session all along");
    }

    // Everybody finds everybody again, but for certificates of the old root.
    drop(collector);
    let _collector = centre.start().unwrap();
    delivers(&client, &machine).await.unwrap();
    let stale = left_behind.start().unwrap();
    logged(&left_behind, "certificates don't fit").await.unwrap();
    logged(&left_behind, "enrol token create --host").await.unwrap();
    drop(stale);
    balance(agent, &machine, &client).await.unwrap();
    balance(late_agent, &late, &client).await.unwrap();
}

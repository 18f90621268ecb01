//! Hosts that are not let in any more.

use crate::support::{HOUR_S, PATIENCE, balance, centre, delivers, logged, refusal, running, samples};
use std::time::Instant;
use vmscope_harness::centre::{Centre, metric};
use vmscope_harness::site::eventually;

/// Sessions that were cut or refused because their host is revoked.
fn refused(centre: &Centre) -> u64 {
    centre
        .metric("vmscope_collector_refused_total{cause=\"revoked\"}")
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_host_is_cut_at_once() {
    let (_database, centre) = centre(HOUR_S).await;
    let _collector = centre.start().unwrap();
    let client = centre.connect().await.unwrap();
    let (machine, _agent) = running(&centre, &client, "machine").await.unwrap();
    let (bystander, _bystander) = running(&centre, &client, "bystander").await.unwrap();
    let host = machine.host().unwrap().to_string();

    let begun = Instant::now();
    centre
        .command(&["host", "revoke", &host, "--reason", "stolen"])
        .unwrap();
    let told = begun.elapsed();
    while refused(&centre) == 0 {
        assert!(begun.elapsed() < PATIENCE, "the session is not cut");
    }
    let cut = begun.elapsed();
    println!("session cut {cut:?} after `host revoke` began (the command itself took {told:?})");

    let stored = samples(&client, &machine).await.unwrap();
    logged(&machine, "code=\"revoked\"").await.unwrap();
    logged(&machine, "vmscope-agent enrol").await.unwrap();
    delivers(&client, &bystander).await.unwrap();
    let later = samples(&client, &machine).await.unwrap();
    assert_eq!(later, stored, "nothing comes in any more");
    assert!(centre.command(&["host", "list"]).unwrap().contains("stolen"));
    let said = refusal(&machine, &centre.token(&[]).unwrap(), &[]);
    assert!(said.contains("host_revoked"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_host_comes_back_by_one_explicit_enrolment_and_its_thief_does_not() {
    let (_database, centre) = centre(HOUR_S).await;
    let _collector = centre.start().unwrap();
    let client = centre.connect().await.unwrap();
    let (machine, agent) = running(&centre, &client, "machine").await.unwrap();
    let thief = machine.stolen(&centre, "thief").unwrap();
    let host = machine.host().unwrap().to_string();
    centre.command(&["host", "revoke", &host]).unwrap();
    logged(&machine, "code=\"revoked\"").await.unwrap();
    let stealing = thief.start().unwrap();
    logged(&thief, "code=\"revoked\"").await.unwrap();
    drop(stealing);

    let explicit = centre.token(&["--host", &host]).unwrap();
    machine.enrol(&explicit, &[]).unwrap();
    let said = refusal(&thief, &explicit, &["--host-id", &host]);
    assert!(said.contains("used_up_token"), "{said}");
    // The agent that runs goes on by itself, with what it kept meanwhile.
    delivers(&client, &machine).await.unwrap();

    // The old certificate stays dead, and does not displace the session of the new one.
    let sessions = || metric(machine.admin, "vmscope_agent_uplink_sessions_total").unwrap();
    let (before, held) = (refused(&centre), sessions());
    let _stealing = thief.start().unwrap();
    eventually("the thief is refused again", PATIENCE, async || {
        Ok(refused(&centre) > before)
    })
    .await
    .unwrap();
    delivers(&client, &machine).await.unwrap();
    assert_eq!(sessions(), held);
    balance(agent, &machine, &client).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_host_stays_out() {
    let (_database, centre) = centre(HOUR_S).await;
    let _collector = centre.start().unwrap();
    let client = centre.connect().await.unwrap();
    let (machine, agent) = running(&centre, &client, "machine").await.unwrap();
    let host = machine.host().unwrap().to_string();
    let reports = centre
        .command(&["host", "remove", &host])
        .expect_err("it reports");
    assert!(format!("{reports:#}").contains("still reports"), "{reports:#}");
    delivers(&client, &machine).await.unwrap();
    agent.stop().unwrap();
    eventually("the host is removed", PATIENCE, async || {
        centre.command(&["host", "remove", &host]).map(|_| true)
    })
    .await
    .unwrap();
    let count = "SELECT count(*) FROM host";
    let hosts: i64 = client.query_one(count, &[]).await.unwrap().get(0);
    assert_eq!(hosts, 0);
    assert!(!centre.command(&["host", "list"]).unwrap().contains(&host));
    let all = centre.command(&["host", "list", "--removed"]).unwrap();
    assert!(all.contains(&host) && all.contains("removed"), "{all}");

    let agent = machine.start().unwrap();
    logged(&machine, "code=\"revoked\"").await.unwrap();
    drop(agent);
    let explicit = centre.token(&["--host", &host]).unwrap();
    machine.enrol(&explicit, &[]).unwrap();
    let _agent = machine.start().unwrap();
    delivers(&client, &machine).await.unwrap();
}

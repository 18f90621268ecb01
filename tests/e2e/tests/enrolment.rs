//! Certificates from the first to the last: enrolment, renewal, revocation, removal, a change of the authority's root.

use anyhow::ensure;
use std::time::{Duration, Instant};
use tokio_postgres::Client;
use vmscope_harness::account::Account;
use vmscope_harness::centre::{Centre, Machine, Token, holds, metric};
use vmscope_harness::daemon::Daemon;
use vmscope_harness::site::eventually;
use vmscope_store::Flavor;
use vmscope_store::testing::Database;

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);
/// Life of certificates that are not renewed in a test.
const HOUR_S: u32 = 3_600;

/// A centre over a database of its own.
async fn centre(certificate_lifetime_s: u32) -> (Database, Centre) {
    let database = Database::create(Flavor::Postgres).await.unwrap();
    let centre = Centre::new(database.url(), certificate_lifetime_s).unwrap();
    (database, centre)
}

/// Rows of a host's samples.
async fn samples(client: &Client, machine: &Machine) -> anyhow::Result<i64> {
    let query = "SELECT count(*) FROM host_sample s JOIN host h ON h.id = s.entity_id WHERE h.uuid = $1";
    Ok(client.query_one(query, &[&machine.host()?.0]).await?.get(0))
}

/// Waits until a host has some more samples than now.
async fn delivers(client: &Client, machine: &Machine) -> anyhow::Result<()> {
    let before = samples(client, machine).await.unwrap_or(0);
    eventually("samples arrive", PATIENCE, async || {
        Ok(samples(client, machine).await? > before + 2)
    })
    .await
}

async fn logged(machine: &Machine, text: &str) -> anyhow::Result<()> {
    eventually(&format!("{text:?} in the agent's log"), PATIENCE, async || {
        holds(&machine.log(), text)
    })
    .await
}

/// Stops an agent, and compares what it took with what is stored.
async fn balance(agent: Daemon, machine: &Machine, client: &Client) -> anyhow::Result<()> {
    agent.stop()?;
    let verdict = Account::read(&machine.account())?
        .compare(client, machine.host()?)
        .await?;
    ensure!(verdict.faults.is_empty() && verdict.ticks > 0, "{verdict:?}");
    Ok(())
}

/// An agent that has enrolled and runs.
async fn running(centre: &Centre, client: &Client, name: &str) -> anyhow::Result<(Machine, Daemon)> {
    let machine = centre.machine(name)?;
    machine.enrol(&centre.token(&[])?, &[])?;
    let agent = machine.start()?;
    delivers(client, &machine).await?;
    Ok((machine, agent))
}

/// What `vmscope-agent enrol` says when it fails.
fn refusal(machine: &Machine, token: &Token, more: &[&str]) -> String {
    format!("{:#}", machine.enrol(token, more).expect_err("a refusal"))
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_enrol_by_command_and_by_configuration_as_often_as_the_token_allows() {
    let (_database, centre) = centre(HOUR_S).await;
    let client = centre.connect().await.unwrap();
    let token = centre
        .token(&["--ttl", "1h", "--uses", "2", "--label", "rack=r7"])
        .unwrap();
    let by_configuration = centre.machine("by-configuration").unwrap();
    by_configuration.configure_enrolment(&token).unwrap();
    // Before there is a collector: the agent waits for it.
    let first = by_configuration.start().unwrap();
    logged(&by_configuration, "not enrolled yet").await.unwrap();
    let collector = centre.start().unwrap();
    delivers(&client, &by_configuration).await.unwrap();
    let by_command = centre.machine("by-command").unwrap();
    by_command.enrol(&token, &[]).unwrap();
    let second = by_command.start().unwrap();
    delivers(&client, &by_command).await.unwrap();

    let replayed = centre.machine("replayed").unwrap();
    let said = refusal(&replayed, &token, &[]);
    assert!(
        said.contains("used_up_token") && said.contains("token create"),
        "{said}"
    );
    assert!(!replayed.identity("certificate.pem").exists());
    let listed = centre.command(&["enrol", "token", "list"]).unwrap();
    assert!(
        listed.contains("2/2") && listed.contains("used up") && listed.contains("rack=r7"),
        "{listed}"
    );
    assert_eq!(
        centre
            .metric("vmscope_collector_enrolments_total{outcome=\"issued\"}")
            .unwrap(),
        2
    );
    assert_eq!(
        centre
            .metric("vmscope_collector_enrolments_total{outcome=\"used_up_token\"}")
            .unwrap(),
        1
    );
    let kept = std::fs::read_to_string(by_configuration.token_file()).unwrap();
    assert_eq!(kept.trim(), token.text, "the token's file is left as it is");

    // A machine that has its certificate needs no token any more.
    std::fs::remove_file(by_configuration.token_file()).unwrap();
    balance(first, &by_configuration, &client).await.unwrap();
    let again = by_configuration.start().unwrap();
    delivers(&client, &by_configuration).await.unwrap();
    drop(again);
    assert!(second.stop().unwrap().success() && collector.stop().unwrap().success());
    for log in [by_configuration.log(), by_command.log(), centre.log()] {
        assert!(
            !holds(&log, token.secret()).unwrap(),
            "a secret in {}",
            log.display()
        );
    }
    let client_rows = client
        .query("SELECT t::text FROM enrolment_token t", &[])
        .await
        .unwrap();
    assert!(
        client_rows
            .iter()
            .all(|row| !row.get::<_, String>(0).contains(token.secret()))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_has_its_own_code_and_advice() {
    let (_database, centre) = centre(HOUR_S).await;
    let collector = centre.start().unwrap();
    let client = centre.connect().await.unwrap();
    let machine = centre.machine("machine").unwrap();

    let good = centre.token(&["--uses", "5"]).unwrap();
    let wrong_pin = Token {
        pin: "00".repeat(32),
        ..good.clone()
    };
    let said = refusal(&machine, &wrong_pin, &[]);
    assert!(
        said.contains("another authority") && said.contains(&good.pin),
        "{said}"
    );
    let uses: i32 = client
        .query_one("SELECT uses FROM enrolment_token", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(uses, 0);
    let refused_before = centre
        .metric("vmscope_collector_enrolments_total{outcome=\"unknown_token\"}")
        .unwrap();
    assert_eq!(refused_before, 0, "the token was not even sent");

    let guessed = Token {
        text: format!("vse_{}_{}", good.id(), "0".repeat(64)),
        ..good.clone()
    };
    let expired = centre.token(&["--ttl", "1s"]).unwrap();
    eventually("the token expires", PATIENCE, async || {
        Ok(centre.command(&["enrol", "token", "list"])?.contains("expired"))
    })
    .await
    .unwrap();
    let revoked = centre.token(&[]).unwrap();
    centre
        .command(&["enrol", "token", "revoke", revoked.id()])
        .unwrap();
    let bound = centre
        .token(&["--host", "00000000-0000-0000-0000-000000000001"])
        .unwrap();
    for (token, code) in [
        (&guessed, "unknown_token"),
        (&expired, "expired_token"),
        (&revoked, "revoked_token"),
        (&bound, "host_mismatch_token"),
    ] {
        let said = refusal(&machine, token, &[]);
        assert!(
            said.contains(code) && said.contains("vmscope-collector enrol token create"),
            "{said}"
        );
        let counted = format!("vmscope_collector_enrolments_total{{outcome=\"{code}\"}}");
        assert_eq!(centre.metric(&counted).unwrap(), 1, "{code}");
    }
    // An agent that enrols by itself says the same in its log, and lives on.
    machine.configure_enrolment(&expired).unwrap();
    let mut agent = machine.start().unwrap();
    logged(&machine, "expired_token").await.unwrap();
    logged(&machine, "vmscope-collector enrol token create")
        .await
        .unwrap();
    assert!(agent.is_alive());
    drop(agent);

    machine.enrol(&good, &[]).unwrap();
    let twin = centre.machine("twin").unwrap();
    let said = refusal(&twin, &good, &["--host-id", &machine.host().unwrap().to_string()]);
    assert!(said.contains("host_known"), "{said}");
    collector.stop().unwrap();
    let _collector = centre.start_without_authority().unwrap();
    let other = centre.machine("other").unwrap();
    eventually("a collector without an authority says so", PATIENCE, async || {
        let said = refusal(&other, &good, &[]);
        Ok(said.contains("authority_missing") && said.contains("[authority]"))
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn short_lived_certificates_are_renewed_while_samples_flow() {
    const LIFE_S: u32 = 20;
    let (_database, centre) = centre(LIFE_S).await;
    let collector = centre.start().unwrap();
    let client = centre.connect().await.unwrap();
    let (machine, agent) = running(&centre, &client, "machine").await.unwrap();
    let first = std::fs::read(machine.identity("certificate.pem")).unwrap();
    let first_key = std::fs::read(machine.identity("key.pem")).unwrap();
    let renewals = async |count| {
        eventually("renewals", PATIENCE, async || {
            Ok(metric(machine.admin, "vmscope_agent_uplink_renewals_total")? >= count)
        })
        .await
    };
    renewals(2).await.unwrap();
    assert_ne!(std::fs::read(machine.identity("certificate.pem")).unwrap(), first);
    assert_ne!(std::fs::read(machine.identity("key.pem")).unwrap(), first_key);
    assert_eq!(
        metric(machine.admin, "vmscope_agent_uplink_sessions_total").unwrap(),
        1,
        "one session all along"
    );
    // The first certificate is long dead: only a renewed one opens a session now.
    drop(collector);
    let _collector = centre.start().unwrap();
    delivers(&client, &machine).await.unwrap();
    renewals(3).await.unwrap();
    assert!(
        centre
            .metric("vmscope_collector_renewals_total{outcome=\"issued\"}")
            .unwrap()
            >= 1
    );
    balance(agent, &machine, &client).await.unwrap();

    // Off for longer than the certificate lives: the log says what to do, and the samples wait.
    // TLS counts whole seconds.
    let end = "SELECT max(expires_at) < now() - interval '2 s' FROM certificate";
    eventually("the certificate expires", PATIENCE, async || {
        Ok(client.query_one(end, &[]).await?.get(0))
    })
    .await
    .unwrap();
    let agent = machine.start().unwrap();
    logged(&machine, "certificate has expired").await.unwrap();
    let host = machine.host().unwrap().to_string();
    logged(&machine, &format!("enrol token create --host {host}"))
        .await
        .unwrap();
    machine
        .enrol(&centre.token(&["--host", &host]).unwrap(), &[])
        .unwrap();
    delivers(&client, &machine).await.unwrap();
    balance(agent, &machine, &client).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_host_is_cut_at_once_and_comes_back_by_one_explicit_enrolment() {
    let (_database, centre) = centre(HOUR_S).await;
    let collector = centre.start().unwrap();
    let client = centre.connect().await.unwrap();
    let (machine, agent) = running(&centre, &client, "machine").await.unwrap();
    let (bystander, _bystander) = running(&centre, &client, "bystander").await.unwrap();
    let host = machine.host().unwrap().to_string();
    let cut = || centre.metric("vmscope_collector_refused_total{cause=\"revoked\"}");

    let begun = Instant::now();
    centre
        .command(&["host", "revoke", &host, "--reason", "stolen"])
        .unwrap();
    let told = begun.elapsed();
    while cut().unwrap() == 0 {
        assert!(begun.elapsed() < PATIENCE, "the session is not cut");
    }
    println!(
        "session cut {:?} after `host revoke` began (the command itself took {told:?})",
        begun.elapsed()
    );
    let stored = samples(&client, &machine).await.unwrap();
    logged(&machine, "code=\"revoked\"").await.unwrap();
    logged(&machine, "vmscope-agent enrol").await.unwrap();
    delivers(&client, &bystander).await.unwrap();
    assert_eq!(
        samples(&client, &machine).await.unwrap(),
        stored,
        "nothing comes in any more"
    );
    assert!(centre.command(&["host", "list"]).unwrap().contains("stolen"));

    // From another place, and with a token that is not for this host.
    let thief = machine.stolen(&centre, "thief").unwrap();
    let stealing = thief.start().unwrap();
    logged(&thief, "code=\"revoked\"").await.unwrap();
    drop(stealing);
    let fleet = centre.token(&[]).unwrap();
    let said = refusal(&machine, &fleet, &[]);
    assert!(said.contains("host_revoked"), "{said}");

    let explicit = centre.token(&["--host", &host]).unwrap();
    machine.enrol(&explicit, &[]).unwrap();
    assert!(refusal(&thief, &explicit, &["--host-id", &host]).contains("used_up_token"));
    // The agent that runs goes on by itself.
    delivers(&client, &machine).await.unwrap();
    // The old certificate stays dead, and does not displace the session of the new one.
    let (before, sessions) = (cut().unwrap(), "vmscope_agent_uplink_sessions_total");
    let held = metric(machine.admin, sessions).unwrap();
    let stealing = thief.start().unwrap();
    eventually("the thief is refused again", PATIENCE, async || {
        Ok(cut()? > before)
    })
    .await
    .unwrap();
    delivers(&client, &machine).await.unwrap();
    assert_eq!(metric(machine.admin, sessions).unwrap(), held);
    drop(stealing);
    balance(agent, &machine, &client).await.unwrap();
    assert!(collector.stop().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_host_stays_out() {
    let (_database, centre) = centre(HOUR_S).await;
    let _collector = centre.start().unwrap();
    let client = centre.connect().await.unwrap();
    let (machine, agent) = running(&centre, &client, "machine").await.unwrap();
    let host = machine.host().unwrap().to_string();
    let said = format!(
        "{:#}",
        centre
            .command(&["host", "remove", &host])
            .expect_err("it reports")
    );
    assert!(said.contains("still reports"), "{said}");
    delivers(&client, &machine).await.unwrap();
    agent.stop().unwrap();
    eventually("the host is removed", PATIENCE, async || {
        centre.command(&["host", "remove", &host]).map(|_| true)
    })
    .await
    .unwrap();
    let hosts: i64 = client
        .query_one("SELECT count(*) FROM host", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(hosts, 0);
    assert!(!centre.command(&["host", "list"]).unwrap().contains(&host));
    assert!(
        centre
            .command(&["host", "list", "--removed"])
            .unwrap()
            .contains("removed")
    );
    let agent = machine.start().unwrap();
    logged(&machine, "code=\"revoked\"").await.unwrap();
    drop(agent);
    machine
        .enrol(&centre.token(&["--host", &host]).unwrap(), &[])
        .unwrap();
    let _agent = machine.start().unwrap();
    delivers(&client, &machine).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_takes_the_place_of_another_under_running_agents() {
    /// Short enough for an agent to learn of other roots within seconds.
    const LIFE_S: u32 = 240;
    let (_database, centre) = centre(LIFE_S).await;
    let collector = centre.start().unwrap();
    let client = centre.connect().await.unwrap();
    let (machine, agent) = running(&centre, &client, "machine").await.unwrap();
    let old = machine.stolen(&centre, "old").unwrap();
    let roots = |machine: &Machine| {
        let text = std::fs::read_to_string(machine.identity("ca.pem")).unwrap_or_default();
        text.matches("BEGIN CERTIFICATE").count()
    };

    let shown = centre.ca("rotate", &[]).unwrap();
    let [new_root, old_root] = shown.lines().collect::<Vec<_>>()[..] else {
        panic!("two roots: {shown}")
    };
    assert_eq!(
        centre.token(&[]).unwrap().pin,
        old_root,
        "the collector still shows its old certificate"
    );
    eventually("the agent trusts both roots", PATIENCE, async || {
        Ok(roots(&machine) == 2)
    })
    .await
    .unwrap();
    eventually("its certificate is by the new one", PATIENCE, async || {
        Ok(centre.command(&["host", "list"])?.contains(&new_root[..11]))
    })
    .await
    .unwrap();
    let (late, late_agent) = running(&centre, &client, "late").await.unwrap();
    assert_eq!(roots(&late), 2, "who enrols by the old root gets both");

    centre.issue_collector().unwrap();
    eventually("the collector takes over", PATIENCE, async || {
        holds(&centre.log(), "certificates changed on disk and are in use")
    })
    .await
    .unwrap();
    assert_eq!(centre.token(&[]).unwrap().pin, new_root);
    centre.ca("retire", &[]).unwrap();
    for machine in [&machine, &late] {
        eventually("the agent trusts one root", PATIENCE, async || {
            Ok(roots(machine) == 1)
        })
        .await
        .unwrap();
        delivers(&client, machine).await.unwrap();
        let sessions = metric(machine.admin, "vmscope_agent_uplink_sessions_total").unwrap();
        assert_eq!(sessions, 1, "one session all along");
    }

    // Everybody finds everybody again, but for certificates of the old root.
    drop(collector);
    let _collector = centre.start().unwrap();
    delivers(&client, &machine).await.unwrap();
    let stale = old.start().unwrap();
    logged(&old, "certificates don't fit").await.unwrap();
    logged(&old, "enrol token create --host").await.unwrap();
    drop(stale);
    balance(agent, &machine, &client).await.unwrap();
    balance(late_agent, &late, &client).await.unwrap();
}

//! The first certificate: who gets it, and who is told why not.

use crate::support::{HOUR_S, PATIENCE, balance, centre, delivers, enrolments, logged, refusal};
use vmscope_harness::centre::{Token, holds};
use vmscope_harness::site::eventually;

#[tokio::test(flavor = "multi_thread")]
async fn a_host_enrols_by_its_configuration_and_waits_for_the_collector() {
    let (_database, centre) = centre(HOUR_S).await;
    let client = centre.connect().await.unwrap();
    let token = centre.token(&[]).unwrap();
    let machine = centre.machine("machine").unwrap();
    machine.configure_enrolment(&token).unwrap();
    let agent = machine.start().unwrap();
    logged(&machine, "not enrolled yet").await.unwrap();
    let _collector = centre.start().unwrap();
    delivers(&client, &machine).await.unwrap();
    let kept = std::fs::read_to_string(machine.token_file()).unwrap();
    assert_eq!(kept.trim(), token.text, "the token's file is left as it is");

    // Once there is a certificate, no token is needed any more.
    std::fs::remove_file(machine.token_file()).unwrap();
    balance(agent, &machine, &client).await.unwrap();
    let _agent = machine.start().unwrap();
    delivers(&client, &machine).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_good_for_its_uses_and_its_secret_is_nowhere() {
    let (database, centre) = centre(HOUR_S).await;
    let client = centre.connect().await.unwrap();
    let collector = centre.start().unwrap();
    let token = centre
        .token(&["--ttl", "1h", "--uses", "2", "--label", "rack=r7"])
        .unwrap();
    let mut logs = vec![centre.log()];
    for name in ["one", "two"] {
        let machine = centre.machine(name).unwrap();
        machine.enrol(&token, &[]).unwrap();
        let agent = machine.start().unwrap();
        delivers(&client, &machine).await.unwrap();
        balance(agent, &machine, &client).await.unwrap();
        logs.push(machine.log());
    }
    let replayed = centre.machine("replayed").unwrap();
    let said = refusal(&replayed, &token, &[]);
    assert!(
        said.contains("used_up_token") && said.contains("token create"),
        "{said}"
    );
    assert!(!replayed.identity("certificate.pem").exists());
    let listed = centre.command(&["enrol", "token", "list"]).unwrap();
    assert!(
        ["2/2", "used up", "rack=r7"]
            .iter()
            .all(|text| listed.contains(text)),
        "{listed}"
    );
    assert_eq!(enrolments(&centre, "issued"), 2);
    assert_eq!(enrolments(&centre, "used_up_token"), 1);
    assert!(collector.stop().unwrap().success());
    for log in logs {
        assert!(
            !holds(&log, token.secret()).unwrap(),
            "a secret in {}",
            log.display()
        );
    }
    let stored = "SELECT t::text FROM enrolment_token t";
    let rows = database.client().await.unwrap().query(stored, &[]).await.unwrap();
    assert!(
        rows.iter()
            .all(|row| !row.get::<_, String>(0).contains(token.secret()))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_pin_is_said_before_the_token_is_sent() {
    let (_database, centre) = centre(HOUR_S).await;
    let _collector = centre.start().unwrap();
    let good = centre.token(&[]).unwrap();
    let wrong = Token {
        text: "vse_that_the_collector_would_count_as_unknown".to_owned(),
        pin: "00".repeat(32),
    };
    let machine = centre.machine("machine").unwrap();
    let said = refusal(&machine, &wrong, &[]);
    assert!(
        said.contains("another authority") && said.contains(&good.pin),
        "{said}"
    );
    machine.enrol(&good, &[]).unwrap();
    assert_eq!(
        (
            enrolments(&centre, "issued"),
            enrolments(&centre, "unknown_token")
        ),
        (1, 0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_do_not_help_have_their_own_code_and_advice() {
    let (_database, centre) = centre(HOUR_S).await;
    let _collector = centre.start().unwrap();
    let machine = centre.machine("machine").unwrap();
    let expired = centre.token(&["--ttl", "1s"]).unwrap();
    eventually("the token expires", PATIENCE, async || {
        Ok(centre.command(&["enrol", "token", "list"])?.contains("expired"))
    })
    .await
    .unwrap();
    let revoked = centre.token(&[]).unwrap();
    let guessed = Token {
        text: format!("vse_{}_{}", revoked.id(), "0".repeat(64)),
        ..revoked.clone()
    };
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
        assert_eq!(enrolments(&centre, code), 1, "{code}");
    }
    // An agent that enrols by itself says the same in its log, and lives on.
    machine.configure_enrolment(&expired).unwrap();
    let mut agent = machine.start().unwrap();
    logged(&machine, "expired_token").await.unwrap();
    logged(&machine, "vmscope-collector enrol token create")
        .await
        .unwrap();
    assert!(agent.is_alive());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_known_host_is_not_taken_over_and_not_every_collector_signs() {
    let (_database, centre) = centre(HOUR_S).await;
    let collector = centre.start().unwrap();
    let token = centre.token(&["--uses", "5"]).unwrap();
    let machine = centre.machine("machine").unwrap();
    machine.enrol(&token, &[]).unwrap();
    let twin = centre.machine("twin").unwrap();
    let host = machine.host().unwrap().to_string();
    let said = refusal(&twin, &token, &["--host-id", &host]);
    assert!(said.contains("host_known"), "{said}");
    collector.stop().unwrap();
    let _collector = centre.start_without_authority().unwrap();
    let other = centre.machine("other").unwrap();
    eventually("a collector without an authority says so", PATIENCE, async || {
        let said = refusal(&other, &token, &[]);
        Ok(said.contains("authority_missing") && said.contains("[authority]"))
    })
    .await
    .unwrap();
}

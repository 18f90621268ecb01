//! The ledger over a real database and real HTTP.

use crate::fleet::{self, BUSY, HOST, IDLE};
use crate::support::Server;
use jiff::{Timestamp, ToSpan};
use serde_json::{Value as Json, json};

fn causes(page: &Json) -> Vec<&str> {
    page["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|item| item["cause"].as_str().expect("a cause"))
        .collect()
}

vmscope_store::on_both_flavors! {
    async fn lists_gaps(database: Database) {
        let fleet = fleet::write(&database).await;
        // A second one as the collector enters it: for the whole host, by numbers, of unknown length.
        let lost = "INSERT INTO gap (host_id, metric_group, cause, from_at, to_at, ticks,
                first_epoch, first_sequence, last_epoch, last_sequence)
            SELECT id, 'all', 'agent_down', now() - interval '2 h', now() - interval '1 h', 0, 1, 5, 2, 0 FROM host";
        database.client().await.expect("a client").batch_execute(lost).await.expect("a gap");
        let server = Server::over(database.url()).await;
        let list = async |query: &str| server.get(&format!("/api/v1/gaps{query}")).await.data();

        let all = list("").await;
        assert_eq!((&all["page"], &all["page_size"], &all["total"]), (&json!(1), &json!(50), &json!(2)));
        assert_eq!(all["causes"], json!([
            {"cause": "agent_down", "entries": 1, "ticks": 0, "uncounted": 1},
            {"cause": "deadline", "entries": 1, "ticks": 1, "uncounted": 0},
        ]));
        let (deadline, down) = (&all["items"][0], &all["items"][1]);
        assert_eq!(deadline["host"], json!({"id": HOST.to_string(), "name": "alpha"}));
        assert_eq!(deadline["vm"], json!({"id": BUSY.to_string(), "name": "busy"}));
        let moment = json!((fleet.from + 10.seconds()).to_string());
        assert_eq!((&deadline["from"], &deadline["to"]), (&moment, &moment));
        assert_eq!((&deadline["group"], &deadline["ticks"]), (&json!("dear"), &json!(1)));
        assert_eq!((&deadline["positions"], &down["vm"], &down["ticks"]), (&json!(null), &json!(null), &json!(null)));
        assert_eq!(down["positions"], json!({"first": "1.5", "last": "2.0"}));

        assert_eq!(causes(&list("?page=2&page_size=1").await), ["agent_down"]);
        assert_eq!(causes(&list("?cause=agent_down").await), ["agent_down"]);
        assert_eq!(causes(&list("?group=dear&cause=").await), ["deadline"]);
        assert_eq!(causes(&list(&format!("?vm={IDLE}")).await), ["agent_down"]);
        assert_eq!(causes(&list(&format!("?host={HOST}&vm={BUSY}")).await), ["deadline", "agent_down"]);
        assert_eq!(causes(&list(&format!("?host={BUSY}")).await), Vec::<&str>::new());
        let ago = |minutes: i64| Timestamp::now() - minutes.minutes();
        assert_eq!(causes(&list(&format!("?from={}", ago(10))).await), ["deadline"]);
        assert_eq!(causes(&list(&format!("?from={}&to={}", ago(100), ago(90))).await), ["agent_down"]);
    }
}

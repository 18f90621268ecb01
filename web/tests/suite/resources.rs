//! Every REST resource over a real database and real HTTP.

use crate::fleet::{self, BUSY, HOST, IDLE, RESET, TICKS};
use crate::support::Server;
use jiff::Timestamp;
use serde_json::{Value as Json, json};

fn names(page: &Json) -> Vec<&str> {
    page["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|item| item["name"].as_str().expect("a name"))
        .collect()
}

vmscope_store::on_both_flavors! {
    async fn counts_the_fleet(database: Database) {
        fleet::write(&database).await;
        let server = Server::over(database.url()).await;
        let overview = server.get("/api/v1/overview").await.data();
        assert_eq!(overview["hosts"], json!({"total": 1, "reporting": 1, "silent": 0}));
        assert_eq!(overview["vms"], json!({"total": 2, "by_state": {"running": 1, "paused": 1}}));
        assert_eq!(overview["feed"], json!({"connected": false}));
        assert!(overview["as_of"].as_str().expect("a time").parse::<Timestamp>().is_ok());
    }

    async fn lists_and_shows_hosts(database: Database) {
        fleet::write(&database).await;
        let server = Server::over(database.url()).await;
        let page = server.get("/api/v1/hosts?q=ALPH&sort=-last_sample_at").await.data();
        assert_eq!((&page["page"], &page["page_size"], &page["total"]), (&json!(1), &json!(50), &json!(1)));
        let host = &page["items"][0];
        assert_eq!(host["id"], json!(HOST.to_string()));
        assert_eq!((&host["os"], &host["cpu_count"]), (&json!("Debian GNU/Linux 12"), &json!(8)));
        assert_eq!(host["memory_bytes"], json!(16_u64 << 30));
        assert_eq!(host["boot_at"], json!("2023-11-14T22:13:20Z"));
        assert_eq!(host["reporting"], json!(true));
        assert_eq!(host["vms_by_state"], json!({"running": 1, "paused": 1}));
        assert_eq!(server.get("/api/v1/hosts?q=beta").await.data()["items"], json!([]));
        let detail = server.get(&format!("/api/v1/hosts/{HOST}")).await.data();
        assert_eq!((&detail["name"], &detail["devices"]), (&json!("alpha"), &json!([])));
    }

    async fn lists_and_shows_vms(database: Database) {
        let fleet = fleet::write(&database).await;
        let server = Server::over(database.url()).await;
        let list = async |query: &str| server.get(&format!("/api/v1/vms{query}")).await.data();
        assert_eq!(names(&list("").await).len(), 2);
        assert_eq!(names(&list("?sort=state").await), ["busy", "Idle_100%"]);
        assert_eq!(names(&list("?sort=-state").await), ["Idle_100%", "busy"]);
        assert_eq!(names(&list("?state=paused").await), ["Idle_100%"]);
        assert_eq!(names(&list("?state=silent").await), Vec::<&str>::new());
        assert_eq!(names(&list("?q=100%25").await), ["Idle_100%"]);
        assert_eq!(names(&list(&format!("?host={HOST}&q={BUSY}")).await), ["busy"]);
        assert_eq!(names(&list(&format!("?host={BUSY}")).await), Vec::<&str>::new());
        let second = list("?page=2&page_size=1&sort=state").await;
        assert_eq!((names(&second), &second["total"]), (vec!["Idle_100%"], &json!(2)));

        let busy = server.get(&format!("/api/v1/vms/{BUSY}")).await.data();
        assert_eq!(busy["host"], json!({"id": HOST.to_string(), "name": "alpha"}));
        assert_eq!((&busy["state"], &busy["state_reason"]), (&json!("running"), &json!("booted")));
        assert_eq!((&busy["vcpus"], &busy["reporting"]), (&json!(2), &json!(true)));
        assert_eq!(busy["memory_used_bytes"], json!(null));
        assert_eq!(busy["devices"], json!([{"id": fleet.disk.to_string(), "kind": "disk", "name": "vda"}]));
        assert_eq!(busy["guest"], json!({
            "as_of": "2023-11-14T22:13:20Z", "host_name": "inside", "os": "Debian GNU/Linux 12", "os_id": "", "os_version": "",
            "kernel": "", "time_zone": "",
            "file_systems": [{"mount_point": "/", "type": "ext4", "total_bytes": 1000, "used_bytes": null}],
            "interfaces": [{"name": "eth0", "hardware_address": "", "addresses": ["192.0.2.1/24"]}],
            "user_count": 2, "users": ["admin"],
        }));
        let idle = server.get(&format!("/api/v1/vms/{IDLE}")).await.data();
        assert_eq!(idle["guest"], json!(null));
        assert_eq!((&idle["state"], &idle["state_reason"]), (&json!("paused"), &json!("user")));
        assert_eq!((&idle["memory_used_bytes"], &idle["memory_used_source"]), (&json!(512 << 20), &json!("rss")));
    }

    async fn draws_samples_as_they_are(database: Database) {
        let fleet = fleet::write(&database).await;
        let server = Server::over(database.url()).await;
        let to = Timestamp::from_second(fleet.from.as_second() + TICKS).expect("a time");
        let query = format!(
            "/api/v1/series?entity=vm:{BUSY}&metrics=cpu_time_ns,state&from={}&to={to}&step=raw", fleet.from
        );
        let series = server.get(&query).await.data();
        assert_eq!((&series["step_s"], &series["tier"]), (&json!(0), &json!("raw")));
        let times = series["times"].as_array().expect("times");
        assert_eq!((times.len(), &times[1]), (60, &json!(fleet.from.as_millisecond() + 1000)));
        let cpu = &series["series"][0];
        assert_eq!((&cpu["metric"], &cpu["unit"]), (&json!("cpu_time_ns"), &json!("s/s")));
        for (i, value) in (0..).zip(cpu["values"].as_array().expect("values")) {
            // The first sample has none before it, and the counter started again before another.
            let rate = if i == 0 || i == RESET { json!(null) } else { json!(0.25) };
            assert_eq!(*value, rate, "{i}");
        }
        let gap = &series["gaps"][0];
        assert_eq!(series["gaps"].as_array().map(Vec::len), Some(1));
        assert_eq!((&gap["cause"], &gap["group"], &gap["ticks"]), (&json!("deadline"), &json!("dear"), &json!(1)));
    }

    async fn draws_steps(database: Database) {
        let fleet = fleet::write(&database).await;
        let server = Server::over(database.url()).await;
        let to = Timestamp::from_second(fleet.from.as_second() + TICKS).expect("a time");
        let draw = async |entity: String, rest: &str| {
            let query = format!("/api/v1/series?entity={entity}&from={}&to={to}&{rest}", fleet.from);
            server.get(&query).await.data()
        };
        let cpu = draw(format!("vm:{BUSY}"), "metrics=cpu_time_ns&step=10").await;
        assert_eq!(cpu["series"][0]["values"], json!([0.25, 0.25, 0.25, 0.25, 0.25, 0.25]));
        let load = draw(format!("host:{HOST}"), "metrics=load_1m,cpu_user_ns&step=60&function=max").await;
        assert!(load["series"][0]["values"].as_array().expect("values").contains(&json!(1.5)), "{load}");
        let disk = draw(format!("disk:{}", fleet.disk), "metrics=read_bytes&step=raw").await;
        assert_eq!(disk["series"][0]["values"][1], json!(4096.0));
        let automatic = draw(format!("vm:{BUSY}"), "metrics=state").await;
        assert_eq!(automatic["step_s"], json!(1));
    }
}

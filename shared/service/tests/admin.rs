//! The admin endpoint over a real socket.
#![expect(clippy::expect_used, reason = "a helper of tests fails by panicking")]

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use vmscope_service::{Ending, Health, Lifecycle, admin};

/// Status, head and body of the answer to GET.
async fn get(address: SocketAddr, path: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(address).await.expect("connected");
    let request = format!("GET {path} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("received");
    let (head, body) = answer.split_once("\r\n\r\n").expect("head and body");
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .expect("a status");
    (status, head.to_owned(), body.to_owned())
}

fn anywhere() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

#[tokio::test]
async fn shows_metrics_as_prometheus_reads_them() {
    let lifecycle = Lifecycle::new();
    let mut registry = Registry::default();
    let ticks = Counter::<u64>::default();
    registry.register("vmscope_ticks", "Ticks taken", ticks.clone());
    let address = admin::serve(&lifecycle, anywhere(), registry, Health::new())
        .await
        .expect("bound");
    ticks.inc_by(3);
    let (status, head, body) = get(address, "/metrics").await;
    assert_eq!(status, 200);
    assert!(head.contains("application/openmetrics-text"), "{head}");
    assert!(body.contains("vmscope_ticks_total 3"), "{body}");
    assert_eq!(lifecycle.shutdown().await, Ending::Clean);
}

#[tokio::test]
async fn is_ready_when_every_check_is_up_and_alive_before() {
    let lifecycle = Lifecycle::new();
    let health = Health::new();
    let (database, uplink) = (health.check("database"), health.check("uplink"));
    let address = admin::serve(&lifecycle, anywhere(), Registry::default(), health.clone())
        .await
        .expect("bound");
    assert_eq!(get(address, "/healthz").await.0, 200);
    uplink.up();
    assert_eq!(get(address, "/readyz").await.0, 503);
    database.down("connection refused");
    let (status, _, body) = get(address, "/readyz").await;
    let body: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    let expected = serde_json::json!({
        "ready": false,
        "checks": {
            "database": { "up": false, "detail": "connection refused" },
            "uplink": { "up": true, "detail": "up" },
        },
    });
    assert_eq!((status, body), (503, expected));
    database.up();
    assert_eq!(get(address, "/readyz").await.0, 200);
    assert!(health.is_ready());
    assert_eq!(lifecycle.shutdown().await, Ending::Clean);
}

#[tokio::test]
async fn names_an_address_that_is_taken() {
    let lifecycle = Lifecycle::new();
    let address = admin::serve(&lifecycle, anywhere(), Registry::default(), Health::new())
        .await
        .expect("bound");
    let error = admin::serve(&lifecycle, address, Registry::default(), Health::new()).await;
    assert!(
        error
            .expect_err("taken")
            .to_string()
            .contains(&address.to_string())
    );
    assert_eq!(lifecycle.shutdown().await, Ending::Clean);
}

//! The admin endpoint of a daemon: `/metrics`, `/healthz` and `/readyz` over plain HTTP.
//!
//! It has no access control and belongs on a loopback address. `/healthz` says that the process serves requests;
//! `/readyz` says whether it can do its work: 200 when every named check is up, else 503, with the checks as JSON.

use crate::Lifecycle;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use prometheus_client::registry::Registry;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::net::TcpListener;

/// What `prometheus-client` writes.
const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Why the endpoint could not be served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address can't be listened on.
    #[error("admin endpoint can't listen on {address}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

/// The named checks behind `/readyz`; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Health(Arc<Mutex<BTreeMap<&'static str, Verdict>>>);

#[derive(Debug, Clone, Serialize)]
struct Verdict {
    up: bool,
    detail: String,
}

#[derive(Debug, Serialize)]
struct Readiness {
    ready: bool,
    checks: BTreeMap<&'static str, Verdict>,
}

impl Health {
    /// No checks: ready.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a check, down until its owner says otherwise. The same name gives the same check.
    pub fn check(&self, name: &'static str) -> Check {
        self.verdicts().entry(name).or_insert_with(|| Verdict {
            up: false,
            detail: "starting".to_owned(),
        });
        Check {
            health: self.clone(),
            name,
        }
    }

    /// Whether every check is up.
    pub fn is_ready(&self) -> bool {
        self.verdicts().values().all(|verdict| verdict.up)
    }

    fn readiness(&self) -> Readiness {
        let checks = self.verdicts().clone();
        Readiness {
            ready: checks.values().all(|verdict| verdict.up),
            checks,
        }
    }

    fn verdicts(&self) -> MutexGuard<'_, BTreeMap<&'static str, Verdict>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One named check, in the hands of the component that knows.
#[derive(Debug, Clone)]
pub struct Check {
    health: Health,
    name: &'static str,
}

impl Check {
    /// The component can do its work.
    pub fn up(&self) {
        self.set(Verdict {
            up: true,
            detail: "up".to_owned(),
        });
    }

    /// The component can't do its work; `detail` says why and holds no secret.
    pub fn down(&self, detail: impl Into<String>) {
        self.set(Verdict {
            up: false,
            detail: detail.into(),
        });
    }

    fn set(&self, verdict: Verdict) {
        self.health.verdicts().insert(self.name, verdict);
    }
}

#[derive(Debug, Clone)]
struct Served {
    registry: Arc<Registry>,
    health: Health,
}

/// Serves the endpoint until the lifecycle stops; gives the address that it really listens on.
///
/// # Errors
/// [`Error::Bind`] when `address` can't be listened on.
pub async fn serve(
    lifecycle: &Lifecycle,
    address: SocketAddr,
    registry: Registry,
    health: Health,
) -> Result<SocketAddr, Error> {
    let bind = |source| Error::Bind { address, source };
    let listener = TcpListener::bind(address).await.map_err(bind)?;
    let bound = listener.local_addr().map_err(bind)?;
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(async || "alive\n"))
        .route("/readyz", get(readyz))
        .with_state(Served {
            registry: Arc::new(registry),
            health,
        });
    let stopping = lifecycle.stopping();
    lifecycle.spawn("admin", async move {
        axum::serve(listener, router)
            .with_graceful_shutdown(stopping.cancelled_owned())
            .await
    });
    tracing::info!(admin.address = %bound, "admin endpoint listens");
    Ok(bound)
}

async fn metrics(State(served): State<Served>) -> Response {
    let mut text = String::new();
    match prometheus_client::encoding::text::encode(&mut text, &served.registry) {
        Ok(()) => ([(CONTENT_TYPE, METRICS_TYPE)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "metrics can't be encoded");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

async fn readyz(State(served): State<Served>) -> Response {
    let readiness = served.health.readiness();
    let status = if readiness.ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(readiness)).into_response()
}

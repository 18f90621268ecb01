//! Every request has an id, a span and a place in the counters.

use crate::auth::Visitor;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Instant;
use tracing::Instrument;
use uuid::Uuid;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// A caller's id that is longer is replaced.
const MAX_ID_BYTES: usize = 128;

/// Answered requests by status.
#[derive(Debug, Clone, Default)]
pub(crate) struct Requests(Family<Labels, Counter>);

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    status: u16,
}

impl Requests {
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let requests = Self::default();
        registry.register(
            "vmscope_web_requests",
            "Answered HTTP requests by status",
            requests.0.clone(),
        );
        requests
    }
}

/// Takes over the caller's `X-Request-Id` or makes one; it is in the span of the request's log lines and in the answer.
/// From then on the request knows its visitor.
pub(crate) async fn observe(State(requests): State<Requests>, mut request: Request, next: Next) -> Response {
    let id = request_id(&request);
    let visitor = Visitor {
        address: address(&request),
        request_id: id.to_str().unwrap_or_default().to_owned(),
        what: format!("{} {}", request.method(), request.uri().path()),
    };
    request.extensions_mut().insert(visitor);
    let span = tracing::info_span!(
        "request",
        request.id = id.to_str().unwrap_or_default(),
        http.method = %request.method(),
        http.path = request.uri().path(),
    );
    async move {
        let began = Instant::now();
        let mut response = next.run(request).await;
        let status = response.status().as_u16();
        tracing::debug!(
            http.status = status,
            took_ms = began.elapsed().as_millis(),
            "request answered"
        );
        requests.0.get_or_create(&Labels { status }).inc();
        response.headers_mut().insert(REQUEST_ID, id);
        response
    }
    .instrument(span)
    .await
}

fn request_id(request: &Request) -> HeaderValue {
    let given = request.headers().get(REQUEST_ID).filter(|id| {
        !id.is_empty() && id.len() <= MAX_ID_BYTES && id.as_bytes().iter().all(u8::is_ascii_graphic)
    });
    given.cloned().unwrap_or_else(|| {
        let made = Uuid::new_v4().to_string();
        HeaderValue::try_from(made).unwrap_or(HeaderValue::from_static("unknown"))
    })
}

/// The other end of the connection.
fn address(request: &Request) -> IpAddr {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    peer.map_or(Ipv6Addr::UNSPECIFIED.into(), |ConnectInfo(peer)| {
        peer.ip().to_canonical()
    })
}

//! A real web service on free ports, and an HTTP client for it.

use serde_json::Value as Json;
use std::net::SocketAddr;
use vmscope_link::{Authority, Identity, IdentityFiles, Role, Validity};
use vmscope_service::{Lifecycle, Secret, telemetry};
use vmscope_web::config::{Config, Database};

/// Nobody listens there.
pub(crate) const NO_DATABASE: &str = "postgres://nobody@127.0.0.1:1/none";

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
    lifecycle: Lifecycle,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: ureq::http::HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Json {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    pub(crate) fn data(&self) -> Json {
        assert_eq!(self.status, 200, "{}", self.body);
        let json = self.json();
        assert_eq!(
            (&json["code"], &json["message"]),
            (&Json::from(0), &Json::from("ok"))
        );
        json["data"].clone()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().expect("ASCII"))
    }
}

impl Server {
    /// A service over the database at `url`, fed by `collectors`.
    pub(crate) async fn start(url: &str, collectors: Vec<String>, identity: &Identity) -> Self {
        let free = SocketAddr::from(([127, 0, 0, 1], 0));
        let config = Config {
            listen: free,
            admin: free,
            collectors,
            identity: IdentityFiles::within("unused".as_ref()),
            database: Database {
                url: Secret::new(url.to_owned()),
            },
            telemetry: telemetry::Config::default(),
        };
        let lifecycle = Lifecycle::new();
        let web = vmscope_web::start(&config, identity, &lifecycle)
            .await
            .expect("a web service");
        Self {
            address: web.address,
            admin: web.admin,
            lifecycle,
        }
    }

    /// A service over the database at `url`, without live samples.
    pub(crate) async fn over(url: &str) -> Self {
        Self::start(
            url,
            Vec::new(),
            &identity(&authority(), &Role::Web("test".to_owned())),
        )
        .await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.request("GET", path, &[]).await
    }

    pub(crate) async fn request(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        fetch(self.address, method, path, headers).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.lifecycle.stop();
    }
}

pub(crate) async fn fetch(address: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = ureq::http::Request::builder()
        .method(method)
        .uri(format!("http://{address}{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(()).expect("a request");
    let exchange = move || {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .build();
        let mut response = ureq::Agent::new_with_config(config)
            .run(request)
            .expect("an answer");
        let body = response.body_mut().read_to_string().expect("text");
        Answer {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body,
        }
    };
    tokio::task::spawn_blocking(exchange).await.expect("a client")
}

pub(crate) fn authority() -> Authority {
    Authority::create("test").expect("an authority")
}

pub(crate) fn identity(authority: &Authority, role: &Role) -> Identity {
    let issued = authority.issue(role, Validity::default()).expect("a certificate");
    issued.identity().expect("an identity")
}

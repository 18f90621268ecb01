//! A real web service on free ports, people who log in to it, and an HTTP client for them.

use serde_json::{Value as Json, json};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::OnceLock;
use tempfile::TempDir;
use uuid::Uuid;
use vmscope_link::{Authority, Identity, IdentityFiles, Role, Validity};
use vmscope_model::access::{SUPER_ADMIN, Scope};
use vmscope_service::{Lifecycle, Secret, telemetry};
use vmscope_store::Store;
use vmscope_store::access::Authority as Right;
use vmscope_store::audit::{Actor, Context};
use vmscope_store::grant::{self, NewGrant};
use vmscope_store::user::{self, NewUser};
use vmscope_vault::{Keyring, password};
use vmscope_web::config::{Config, Database};
use vmscope_web::limit;

/// Nobody listens there.
pub(crate) const NO_DATABASE: &str = "postgres://nobody@127.0.0.1:1/none";
/// Everybody's.
pub(crate) const PASSWORD: &str = "Correct-Horse-7-Battery";
/// The administrator that [`Server::over`] makes and logs in.
pub(crate) const ROOT: &str = "root";

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
    /// Whoever the server's own requests come from.
    pub(crate) token: Option<String>,
    lifecycle: Lifecycle,
    keys: TempDir,
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
    /// A service over the database at `url`, fed by `collectors`, that nobody is logged in to.
    pub(crate) async fn start(url: &str, collectors: Vec<String>, identity: &Identity) -> Self {
        Self::limited(url, collectors, identity, generous()).await
    }

    /// The same, with these limits.
    pub(crate) async fn limited(
        url: &str,
        collectors: Vec<String>,
        identity: &Identity,
        limits: limit::Config,
    ) -> Self {
        let free = SocketAddr::from(([127, 0, 0, 1], 0));
        let keys = tempfile::tempdir().expect("a folder");
        let master_keys = keys.path().join("master-keys");
        Keyring::generate_into(&master_keys).expect("a master key");
        let config = Config {
            listen: free,
            admin: free,
            collectors,
            identity: IdentityFiles::within("unused".as_ref()),
            database: Database {
                url: Secret::new(url.to_owned()),
            },
            vault: vmscope_vault::Config {
                master_keys: Some(master_keys),
            },
            storage: vmscope_storage::Config {
                dir: Some(keys.path().join("files")),
            },
            limits,
            tls: None,
            state_dir: keys.path().to_owned(),
            telemetry: telemetry::Config::default(),
        };
        let lifecycle = Lifecycle::new();
        let web = vmscope_web::start(&config, identity, &lifecycle)
            .await
            .expect("a web service");
        Self {
            address: web.address,
            admin: web.admin,
            token: None,
            lifecycle,
            keys,
        }
    }

    /// A service over the database at `url`, without live samples, that nobody is logged in to.
    pub(crate) async fn strange(url: &str) -> Self {
        let identity = identity(&authority(), &Role::Web("test".to_owned()));
        Self::start(url, Vec::new(), &identity).await
    }

    /// A service over the database at `url`, without live samples; an administrator is logged in.
    pub(crate) async fn over(url: &str) -> Self {
        let mut server = Self::strange(url).await;
        server.log_in_root(url).await;
        server
    }

    /// Makes the administrator and logs him in.
    pub(crate) async fn log_in_root(&mut self, url: &str) {
        let store = Store::new(url).expect("a store");
        make_user(&store, ROOT, &[(SUPER_ADMIN, Scope::All)]).await;
        self.token = Some(self.log_in(ROOT).await);
    }

    /// Logs somebody in; gives his access token.
    pub(crate) async fn log_in(&self, name: &str) -> String {
        let login = json!({"login": name, "password": PASSWORD});
        let session = self.post("/api/v1/auth/login", &login).await.data();
        session["access_token"].as_str().expect("a token").to_owned()
    }

    /// Makes a user with these roles and logs him in; gives his id and access token.
    pub(crate) async fn person(&self, store: &Store, name: &str, roles: &[(Uuid, Scope)]) -> (Uuid, String) {
        let id = make_user(store, name, roles).await;
        (id, self.log_in(name).await)
    }

    /// Where the files are that collectors make.
    pub(crate) fn files(&self) -> PathBuf {
        self.keys.path().join("files")
    }

    /// An answer that is no text.
    pub(crate) async fn get_bytes(&self, path: &str) -> Vec<u8> {
        let uri = format!("http://{}{path}", self.address);
        let bearer = format!("Bearer {}", self.token.clone().unwrap_or_default());
        let exchange = move || {
            let config = ureq::Agent::config_builder().proxy(None).build();
            let request = ureq::Agent::new_with_config(config)
                .get(uri)
                .header("Authorization", bearer);
            let mut response = request.call().expect("an answer");
            response.body_mut().read_to_vec().expect("bytes")
        };
        tokio::task::spawn_blocking(exchange).await.expect("a client")
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.request("GET", path, &[]).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Json) -> Answer {
        self.send("POST", path, body).await
    }

    /// A request with a body, by whoever is logged in.
    pub(crate) async fn send(&self, method: &str, path: &str, body: &Json) -> Answer {
        let headers = [("Content-Type", "application/json")];
        self.with_body(method, path, &headers, body.to_string()).await
    }

    pub(crate) async fn request(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.with_body(method, path, headers, String::new()).await
    }

    /// A request with any body; with a token unless the headers prove who asks.
    pub(crate) async fn with_body(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> Answer {
        let bearer = self.token.as_ref().map(|token| format!("Bearer {token}"));
        let mut headers = headers.to_vec();
        let proves = |name: &str| ["authorization", "cookie"].contains(&name.to_lowercase().as_str());
        if let Some(bearer) = bearer
            .as_deref()
            .filter(|_| !headers.iter().any(|(name, _)| proves(name)))
        {
            headers.push(("Authorization", bearer));
        }
        send(self.address, method, path, &headers, body).await
    }

    /// A request by whoever has this token; nobody with an empty one.
    pub(crate) async fn by(&self, token: &str, method: &str, path: &str, body: Option<&Json>) -> Answer {
        let bearer = format!("Bearer {token}");
        let mut headers = vec![("Content-Type", "application/json")];
        if !token.is_empty() {
            headers.push(("Authorization", &bearer));
        }
        let body = body.map(Json::to_string).unwrap_or_default();
        send(self.address, method, path, &headers, body).await
    }
}

/// Makes a user who has these roles and whose password is [`PASSWORD`].
pub(crate) async fn make_user(store: &Store, name: &str, roles: &[(Uuid, Scope)]) -> Uuid {
    let made = user::create(store, &nobody(), &new_user(name))
        .await
        .expect("a user");
    for &(role, scope) in roles {
        let new = NewGrant {
            user: made.id,
            role,
            scope,
            expires_at: None,
        };
        grant::create(store, &nobody(), Right::System, &new)
            .await
            .expect("a grant");
    }
    made.id
}

/// A user whose password is [`PASSWORD`].
fn new_user(name: &str) -> NewUser {
    static HASH: OnceLock<String> = OnceLock::new();
    NewUser {
        name: name.to_owned(),
        email: Some(format!("{name}@example.com")),
        display_name: String::new(),
        language: "en".to_owned(),
        password_hash: HASH
            .get_or_init(|| password::hash(PASSWORD).expect("a hash"))
            .clone(),
        must_change_password: false,
    }
}

/// The test itself.
pub(crate) fn nobody() -> Context {
    Context {
        actor: Actor::System {
            name: "test".to_owned(),
        },
        remote: String::new(),
        request_id: String::new(),
    }
}

/// Limits that no test meets by accident.
fn generous() -> limit::Config {
    let many = NonZeroU32::new(100_000).expect("not zero");
    limit::Config {
        requests_per_s: many,
        burst: many,
        logins_per_min: many,
        failed_logins_per_min: many,
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.lifecycle.stop();
    }
}

pub(crate) async fn fetch(address: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    send(address, method, path, headers, String::new()).await
}

/// A request as it is; an empty body is none.
pub(crate) async fn send(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: String,
) -> Answer {
    let mut request = ureq::http::Request::builder()
        .method(method)
        .uri(format!("http://{address}{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(body).expect("a request");
    let exchange = move || {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            .max_redirects(0)
            .proxy(None)
            .build();
        let agent = ureq::Agent::new_with_config(config);
        let (parts, body) = request.into_parts();
        let answered = if body.is_empty() {
            agent.run(ureq::http::Request::from_parts(parts, ()))
        } else {
            agent.run(ureq::http::Request::from_parts(parts, body))
        };
        let mut response = answered.expect("an answer");
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

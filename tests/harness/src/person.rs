//! Somebody at the API of a `vmscope` that runs: sets it up, logs in, asks.

use crate::site::eventually;
use anyhow::{Context, ensure};
use serde_json::{Value as Json, json};
use std::path::Path;
use std::time::Duration;
use ureq::Agent;

/// How long a first start, with a new database cluster, may take.
const START_LIMIT: Duration = Duration::from_mins(1);
/// How long an answer may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(15);
/// The first user.
pub const NAME: &str = "ada";
/// The first user's password.
pub const PASSWORD: &str = "Analytical engine 1843";

/// A person who is logged in.
#[derive(Debug)]
pub struct Person {
    agent: Agent,
    address: String,
    token: String,
}

impl Person {
    /// The first user of the `vmscope` that writes to `log`: made with the code that it prints.
    ///
    /// # Errors
    /// When it does not become ready, prints no code, or refuses.
    pub async fn first(log: &Path) -> anyhow::Result<Self> {
        let address = said(log, "vmscope is ready: ").await?;
        let code = said(log, "set-up code: ").await?;
        Self::set_up(address, &code)
    }

    /// The first user of the web service at `address` (`http://...`), made with this code.
    ///
    /// # Errors
    /// When it refuses.
    pub fn set_up(address: String, code: &str) -> anyhow::Result<Self> {
        let agent = agent();
        let body = json!({"code": code, "name": NAME, "password": PASSWORD});
        post(&agent, &format!("{address}/api/v1/setup"), &body)?;
        Self::at(agent, address)
    }

    /// The same user at a later start.
    ///
    /// # Errors
    /// When it does not become ready, or refuses.
    pub async fn again(log: &Path) -> anyhow::Result<Self> {
        Self::at(agent(), said(log, "vmscope is ready: ").await?)
    }

    fn at(agent: Agent, address: String) -> anyhow::Result<Self> {
        let body = json!({"login": NAME, "password": PASSWORD, "cookies": false});
        let session = post(&agent, &format!("{address}/api/v1/auth/login"), &body)?;
        let token = session["access_token"].as_str().context("an access token")?;
        Ok(Self {
            token: token.to_owned(),
            agent,
            address,
        })
    }

    /// The same person with a token of now: they are good for a quarter of an hour.
    ///
    /// # Errors
    /// When the service refuses.
    pub fn renewed(&self) -> anyhow::Result<Self> {
        Self::at(self.agent.clone(), self.address.clone())
    }

    /// What programs send to be this person.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Where it is: `http://...`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The `data` of an answer to a request with a body.
    ///
    /// # Errors
    /// When the answer is no success.
    pub fn send(&self, method: &str, path: &str, body: &Json) -> anyhow::Result<Json> {
        let text = self.text(method, path, body)?;
        Ok(serde_json::from_str::<Json>(&text)?["data"].take())
    }

    /// The whole answer to a request with a body.
    ///
    /// # Errors
    /// When the answer is no success.
    pub fn text(&self, method: &str, path: &str, body: &Json) -> anyhow::Result<String> {
        let url = format!("{}{path}", self.address);
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(&url)
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", "application/json")
            .body(body.to_string())?;
        text(&url, self.agent.run(request)?)
    }

    /// The `data` of an answer to GET.
    ///
    /// # Errors
    /// When the answer is no success.
    pub fn get(&self, path: &str) -> anyhow::Result<Json> {
        let url = format!("{}{path}", self.address);
        let bearer = format!("Bearer {}", self.token);
        let request = self.agent.get(&url).header("authorization", bearer);
        data(&url, request.call()?)
    }
}

fn agent() -> Agent {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .proxy(None)
        .timeout_global(Some(ANSWER_LIMIT));
    config.build().into()
}

fn post(agent: &Agent, url: &str, body: &Json) -> anyhow::Result<Json> {
    let request = agent.post(url).content_type("application/json");
    data(url, request.send(body.to_string())?)
}

fn data(url: &str, answer: ureq::http::Response<ureq::Body>) -> anyhow::Result<Json> {
    Ok(serde_json::from_str::<Json>(&text(url, answer)?)?["data"].take())
}

fn text(url: &str, mut answer: ureq::http::Response<ureq::Body>) -> anyhow::Result<String> {
    let text = answer.body_mut().read_to_string()?;
    ensure!(answer.status().is_success(), "{url}: {} {text}", answer.status());
    Ok(text)
}

/// What a line of the log says behind `label`, as soon as it is there.
///
/// # Errors
/// When there is none for a minute.
pub async fn said(log: &Path, label: &str) -> anyhow::Result<String> {
    let mut found = None;
    eventually(label, START_LIMIT, async || {
        let text = std::fs::read_to_string(log)?;
        found = text
            .lines()
            .find_map(|line| Some(line.trim().strip_prefix(label)?.trim().to_owned()));
        Ok(found.is_some())
    })
    .await?;
    found.context("a line of the log")
}

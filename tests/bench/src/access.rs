//! What access control costs: logins a second beside what argon2 alone allows, and the check in front of every request.
//!
//! A login is a verified hash and very little else, so the rate of hashes on all cores of this machine, measured in turn with the
//! logins, is what they are held against. The clients of the logins run on the same cores. The server itself measures the checks.

use crate::centre::Centre;
use crate::figure::{Bar, Report, progress};
use crate::statistics::{highest, lowest, median, percentile};
use crate::{http, settings};
use anyhow::{Context, ensure};
use serde_json::json;
use std::collections::HashMap;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use vmscope_harness::person::{NAME, PASSWORD, Person};
use vmscope_harness::site::eventually;
use vmscope_harness::web::Web;
use vmscope_store::audit::{Actor, Context as Acting};
use vmscope_store::{Flavor, Store, setup};
use vmscope_vault::{code, password};

/// How much of the rate of hashes logins have to reach.
const SHARE_BAR: f64 = 0.8;
/// How long the web service may take to start.
const START_LIMIT: Duration = Duration::from_secs(30);
/// How long an answer may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);
/// No limit that a benchmark would meet.
const LIMITS: &str = "[limits]\nrequests_per_s = 1000000\nburst = 1000000\nlogins_per_min = 1000000\n\
    failed_logins_per_min = 1000000\n";
/// Failures in a row that lock nobody out.
const FAILURES: u32 = 4;
/// A route that looks nothing up, so that the check is most of what it costs.
const CHECKED: &str = "/api/v1/permissions";
const COUNT: &str = "vmscope_web_authorisation_seconds_count";
const SUM: &str = "vmscope_web_authorisation_seconds_sum";

struct Scale {
    rounds: usize,
    /// How long each measurement of a round takes.
    time: Duration,
    /// Clients at the same time.
    clients: usize,
}

impl Scale {
    fn from_environment() -> anyhow::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            rounds: settings::number("ACCESS_ROUNDS", 3)?,
            time: settings::seconds("ACCESS_SECONDS", 10)?,
            clients: settings::number("ACCESS_CLIENTS", 2 * cores)?,
        })
    }
}

pub(crate) async fn measure(report: &mut Report) -> anyhow::Result<()> {
    let scale = Scale::from_environment()?;
    let centre = Centre::start(Flavor::Postgres).await?;
    let web = centre.site.start_web(LIMITS)?;
    let person = first_person(&centre, &web).await?;
    measure_logins(report, &scale, &web).await?;
    measure_failures(report, &scale, &web).await?;
    measure_checks(report, &scale, &web, &person).await
}

/// Waits for the web service and makes its first user.
async fn first_person(centre: &Centre, web: &Web) -> anyhow::Result<Person> {
    let http = http::Client::new();
    let ready = format!("http://{}/readyz", web.admin);
    eventually("the web service is ready", START_LIMIT, async || {
        http.fetch(ready.clone()).await.map(|_| true)
    })
    .await?;
    let code = code::generate()?;
    let store = Store::new(&centre.site.database_url)?;
    let acting = Acting {
        actor: Actor::System {
            name: "bench".to_owned(),
        },
        remote: String::new(),
        request_id: String::new(),
    };
    setup::offer(&store, &acting, &code::digest(&code), false).await?;
    Person::set_up(format!("http://{}", web.address), &code)
}

async fn measure_logins(report: &mut Report, scale: &Scale, web: &Web) -> anyhow::Result<()> {
    let secret = password::hash(PASSWORD)?;
    let (mut hashes, mut logins, mut took_s) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=scale.rounds {
        progress(&format!(
            "access: hashes and logins, round {round} of {}",
            scale.rounds
        ));
        hashes.push(rate_of_hashes(&secret, scale.time).await?);
        let done = log_in_for(web, scale).await?;
        logins.push(done.len() as f64 / scale.time.as_secs_f64());
        took_s.extend(done);
    }
    let (hash_rate, login_rate) = (median(&hashes), median(&logins));
    report.say("access.argon2_per_s", hash_rate, "1/s");
    report.say(
        "access.argon2_spread",
        highest(&hashes) / lowest(&hashes),
        "ratio",
    );
    report.say("access.logins_per_s", login_rate, "1/s");
    report.say(
        "access.logins_spread",
        highest(&logins) / lowest(&logins),
        "ratio",
    );
    report.hold(
        "access.logins_of_argon2",
        login_rate / hash_rate,
        "ratio",
        Bar::AtLeast(SHARE_BAR),
    );
    report.say(
        "access.login_outside_argon2",
        100.0 * (1.0 - login_rate / hash_rate),
        "%",
    );
    report.say("access.login_p50", percentile(&took_s, 50), "s");
    report.say("access.login_p99", percentile(&took_s, 99), "s");
    Ok(())
}

/// How many passwords all cores together verify in a second, and nothing else.
async fn rate_of_hashes(hashed: &str, time: Duration) -> anyhow::Result<f64> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let until = Instant::now() + time;
    let mut workers = JoinSet::new();
    for _ in 0..cores {
        let hashed = hashed.to_owned();
        workers.spawn_blocking(move || {
            let mut verified = 0_u32;
            while Instant::now() < until {
                ensure!(password::verify(PASSWORD, &hashed), "the password is right");
                verified += 1;
            }
            Ok(verified)
        });
    }
    let mut verified = 0;
    while let Some(worker) = workers.join_next().await {
        verified += worker??;
    }
    Ok(f64::from(verified) / time.as_secs_f64())
}

/// Whether the time tells if somebody exists: wrong passwords of one who does beside those of people who don't.
async fn measure_failures(report: &mut Report, scale: &Scale, web: &Web) -> anyhow::Result<()> {
    progress("access: failures");
    let url = format!("http://{}/api/v1/auth/login", web.address);
    let until = Instant::now() + scale.time;
    let (known_s, stranger_s) = tokio::task::spawn_blocking(move || {
        let agent = agent();
        let (mut known_s, mut stranger_s) = (Vec::new(), Vec::new());
        while Instant::now() < until {
            for number in 0..FAILURES {
                let stranger = format!("stranger-{}-{number}", stranger_s.len());
                for (name, took_s) in [(NAME, &mut known_s), (stranger.as_str(), &mut stranger_s)] {
                    let (status, took) = log_in(&agent, &url, name, "Wrong password 1843")?;
                    ensure!(status == 401, "a wrong password is answered {status}");
                    took_s.push(took.as_secs_f64());
                }
            }
            // Which forgets the failures.
            log_in(&agent, &url, NAME, PASSWORD)?;
        }
        Ok::<_, anyhow::Error>((known_s, stranger_s))
    })
    .await??;
    let (known, stranger) = (median(&known_s), median(&stranger_s));
    report.say("access.failure_of_user_p50", known, "s");
    report.say("access.failure_of_stranger_p50", stranger, "s");
    report.say("access.failure_stranger_of_user", stranger / known, "ratio");
    Ok(())
}

/// One attempt: its status, and how long it took.
fn log_in(agent: &ureq::Agent, url: &str, name: &str, password: &str) -> anyhow::Result<(u16, Duration)> {
    let body = json!({"login": name, "password": password, "cookies": false}).to_string();
    let began = Instant::now();
    let request = agent.post(url).header("content-type", "application/json");
    let mut answer = request.send(&body)?;
    answer.body_mut().read_to_vec()?;
    Ok((answer.status().as_u16(), began.elapsed()))
}

/// Logs in from all clients for the time of a measurement; how long each login took, in seconds.
async fn log_in_for(web: &Web, scale: &Scale) -> anyhow::Result<Vec<f64>> {
    let until = Instant::now() + scale.time;
    let url = format!("http://{}/api/v1/auth/login", web.address);
    let mut clients = JoinSet::new();
    for _ in 0..scale.clients {
        let url = url.clone();
        clients.spawn_blocking(move || {
            let agent = agent();
            let mut took_s = Vec::new();
            while Instant::now() < until {
                let (status, took) = log_in(&agent, &url, NAME, PASSWORD)?;
                ensure!(status == 200, "a login is answered {status}");
                took_s.push(took.as_secs_f64());
            }
            Ok::<_, anyhow::Error>(took_s)
        });
    }
    let mut took_s = Vec::new();
    while let Some(client) = clients.join_next().await {
        took_s.extend(client??);
    }
    Ok(took_s)
}

async fn measure_checks(
    report: &mut Report,
    scale: &Scale,
    web: &Web,
    person: &Person,
) -> anyhow::Result<()> {
    let (mut costs_us, mut rates) = (Vec::new(), Vec::new());
    for round in 1..=scale.rounds {
        progress(&format!("access: checks, round {round} of {}", scale.rounds));
        let before = metrics(web).await?;
        ask_for(web, scale, person.token()).await?;
        let after = metrics(web).await?;
        let grown = |name: &str| -> anyhow::Result<f64> {
            Ok(after.get(name).context("the service tells")? - before.get(name).unwrap_or(&0.0))
        };
        let checks = grown(COUNT)?;
        ensure!(checks > 0.0, "nothing was checked");
        costs_us.push(1e6 * grown(SUM)? / checks);
        rates.push(checks / scale.time.as_secs_f64());
    }
    report.say("access.check", median(&costs_us), "us");
    report.say(
        "access.check_spread",
        highest(&costs_us) / lowest(&costs_us),
        "ratio",
    );
    report.say("access.checked_requests_per_s", median(&rates), "1/s");
    Ok(())
}

/// Asks from one client, so that no request waits for another, for the time of a measurement.
async fn ask_for(web: &Web, scale: &Scale, token: &str) -> anyhow::Result<()> {
    let until = Instant::now() + scale.time;
    let (url, bearer) = (
        format!("http://{}{CHECKED}", web.address),
        format!("Bearer {token}"),
    );
    tokio::task::spawn_blocking(move || {
        let agent = agent();
        while Instant::now() < until {
            let answer = agent.get(&url).header("authorization", &bearer).call()?;
            ensure!(
                answer.status() == 200,
                "a request is answered {}",
                answer.status()
            );
            answer.into_body().read_to_vec()?;
        }
        Ok(())
    })
    .await?
}

async fn metrics(web: &Web) -> anyhow::Result<HashMap<String, f64>> {
    let url = format!("http://{}/metrics", web.admin);
    Ok(http::sums(&http::Client::new().fetch(url).await?))
}

fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(ANSWER_LIMIT))
        .http_status_as_error(false)
        .proxy(None);
    config.build().into()
}

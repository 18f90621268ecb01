//! The fleet's list in all the ways that the dashboard asks for it.

use super::Scale;
use super::fleet::SERVICES;
use super::requests::{ask, say};
use crate::figure::{Bar, Report, progress};
use anyhow::Context;
use serde_json::json;
use vmscope_harness::person::Person;
use vmscope_model::VmId;

/// How long 99 of a hundred answers may take at most.
const BAR_MS: f64 = 50.0;
/// Machines whose labels are set at once.
const BATCH: usize = 1_000;
/// The rows of a page.
const PAGE: usize = 50;

/// One way to ask for the list: its figure's name, and the parameters of each request.
type Way = (&'static str, Box<dyn Fn(usize) -> String>);

/// Gives every machine two labels, and makes a group of some by rule.
pub(super) fn label(person: &Person, vms: &[(VmId, i32)]) -> anyhow::Result<()> {
    for (number, name) in SERVICES.iter().enumerate() {
        let ids: Vec<String> = vms
            .iter()
            .skip(number)
            .step_by(SERVICES.len())
            .map(|(id, _)| id.to_string())
            .collect();
        for some in ids.chunks(BATCH) {
            let set = json!({"service": name, "env": if number % 2 == 0 { "prod" } else { "test" }});
            person.send(
                "POST",
                "/api/v1/vms/batch",
                &json!({"ids": some, "labels": {"set": set}}),
            )?;
        }
    }
    let rule = "label.service = web and label.env = prod";
    person.send("POST", "/api/v1/groups", &json!({"name": "web", "rule": rule}))?;
    Ok(())
}

/// By page, sorted, filtered, searched, from one part to the next.
pub(super) fn measure(report: &mut Report, scale: &Scale, person: &Person, vms: usize) -> anyhow::Result<()> {
    progress("history: lists");
    let first = |path: &str| -> anyhow::Result<String> {
        let found = person.get(path)?["items"][0]["id"].clone();
        Ok(found.as_str().context("an id")?.to_owned())
    };
    let group = first("/api/v1/groups?q=web")?;
    let host = first("/api/v1/hosts?page_size=1")?;
    for (name, parameters) in ways(vms.div_ceil(PAGE).max(1), group, host) {
        let took = ask(person, scale.requests, |person, number| {
            person.get(&format!("/api/v1/vms?page_size={PAGE}&{}", parameters(number)))
        })?;
        say(report, name, &took, Bar::AtMost(BAR_MS));
    }
    measure_cursor(report, scale, person)?;
    let others = [
        (
            "hosts",
            "/api/v1/hosts?page_size=50&sort=name",
            Bar::AtMost(BAR_MS),
        ),
        ("statistics", "/api/v1/vms/statistics", Bar::None),
        ("overview", "/api/v1/overview", Bar::None),
    ];
    for (name, path, bar) in others {
        let took = ask(person, scale.requests, |person, _| person.get(path))?;
        say(report, name, &took, bar);
    }
    Ok(())
}

fn ways(pages: usize, group: String, host: String) -> Vec<Way> {
    // Seven pages on is never the neighbour of the one before.
    let page = move |number: usize| number * 7 % pages + 1;
    let service = |number: usize| SERVICES[number % SERVICES.len()];
    let state = |number: usize| ["running", "paused"][number % 2];
    vec![
        ("list", Box::new(move |n| format!("page={}", page(n)))),
        (
            "sorted",
            Box::new(move |n| format!("sort=-memory_used,name&page={}", page(n))),
        ),
        (
            "by_state",
            Box::new(move |n| format!("state={}&sort=name&page={}", state(n), n % 5 + 1)),
        ),
        (
            "by_label",
            Box::new(move |n| format!("label=service={}&page={}", service(n), n % 9 + 1)),
        ),
        (
            "by_group",
            Box::new(move |n| format!("group={group}&page={}", n % 9 + 1)),
        ),
        ("by_host", Box::new(move |_| format!("host={host}"))),
        (
            "search_name",
            Box::new(move |n| format!("q={}-{:04}", service(n), n * 3 % 500 + 1)),
        ),
        (
            "search_part",
            Box::new(move |n| format!("q={:02}-{:02}&page={}", n % 50, n % 20 + 1, n % 3 + 1)),
        ),
    ]
}

/// From one part to the next, and from the beginning again after the last.
fn measure_cursor(report: &mut Report, scale: &Scale, person: &Person) -> anyhow::Result<()> {
    let mut cursor = String::new();
    let took = ask(person, scale.requests, |person, _| {
        let part = person.get(&format!("/api/v1/vms?limit={PAGE}&sort=name{cursor}"))?;
        let next = part["next_cursor"].as_str();
        cursor = next.map(|next| format!("&cursor={next}")).unwrap_or_default();
        Ok(part)
    })?;
    say(report, "cursor", &took, Bar::AtMost(BAR_MS));
    Ok(())
}

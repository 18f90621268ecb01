//! Scale and time of the groups, from the environment; `docs/benchmarks.md` lists the variables.

use anyhow::Context;
use std::str::FromStr;
use std::time::Duration;

/// The number in `variable`, or `default`.
pub(crate) fn number<T: FromStr>(variable: &str, default: T) -> anyhow::Result<T> {
    match std::env::var(variable) {
        Ok(text) => text
            .parse()
            .ok()
            .with_context(|| format!("{variable}={text} is no number")),
        Err(_) => Ok(default),
    }
}

/// The seconds in `variable`, or `default`.
pub(crate) fn seconds(variable: &str, default: u64) -> anyhow::Result<Duration> {
    number(variable, default).map(Duration::from_secs)
}

/// The numbers in `variable`, with commas between them, or `default`.
pub(crate) fn numbers(variable: &str, default: &[usize]) -> anyhow::Result<Vec<usize>> {
    let Ok(text) = std::env::var(variable) else {
        return Ok(default.to_vec());
    };
    let parse = |one: &str| one.trim().parse().ok();
    text.split(',')
        .map(parse)
        .collect::<Option<_>>()
        .with_context(|| format!("{variable}={text} is no list of numbers"))
}

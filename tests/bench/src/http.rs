//! Reading other programs' figures over HTTP, with connections that are kept alive.

use anyhow::Context;
use std::collections::HashMap;
use std::time::Duration;

/// How long an answer may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// A client; clones share its connections.
#[derive(Debug, Clone)]
pub(crate) struct Client(ureq::Agent);

impl Client {
    pub(crate) fn new() -> Self {
        let config = ureq::Agent::config_builder().timeout_global(Some(DEADLINE));
        Self(config.build().into())
    }

    /// The text at `url`. Blocks.
    pub(crate) fn get(&self, url: &str) -> anyhow::Result<String> {
        let answer = self.0.get(url).call().with_context(|| format!("GET {url}"))?;
        let mut body = answer.into_body();
        body.with_config()
            .limit(MAX_BYTES)
            .read_to_string()
            .with_context(|| format!("read {url}"))
    }

    /// The text at `url`.
    pub(crate) async fn fetch(&self, url: String) -> anyhow::Result<String> {
        let client = self.clone();
        tokio::task::spawn_blocking(move || client.get(&url)).await?
    }
}

/// The longest answer.
const MAX_BYTES: u64 = 64 << 20;

/// The samples of a text in the Prometheus or `OpenMetrics` format: name and value.
pub(crate) fn samples(text: &str) -> impl Iterator<Item = (&str, f64)> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            let name = line.split(['{', ' ']).next()?;
            let rest = match line.rsplit_once('}') {
                Some((_, rest)) => rest,
                None => line.strip_prefix(name)?,
            };
            Some((name, rest.split_whitespace().next()?.parse().ok()?))
        })
}

/// The same by name, series of one name summed.
pub(crate) fn sums(text: &str) -> HashMap<String, f64> {
    let mut sums = HashMap::new();
    for (name, value) in samples(text) {
        *sums.entry(name.to_owned()).or_default() += value;
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_names_and_values_whatever_the_labels_hold() {
        let text = "# HELP a b\na{x=\"} 1\"} 2\na{x=\"y\"} 3 1700000000\nb 1.5e+3\nnot a sample\n";
        let sums = sums(text);
        assert_eq!(sums.len(), 2);
        assert!((sums["a"] - 5.0).abs() < f64::EPSILON && (sums["b"] - 1_500.0).abs() < f64::EPSILON);
    }
}

//! One measured number and the bar it is held against.

/// What a figure has to reach.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Bar {
    /// No bar: reported only.
    None,
    /// At least this.
    AtLeast(f64),
    /// At most this.
    AtMost(f64),
}

/// One line of the report.
#[derive(Debug)]
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
    pub(crate) bar: Bar,
}

impl Figure {
    pub(crate) fn new(name: impl Into<String>, value: f64, unit: &'static str, bar: Bar) -> Self {
        Self {
            name: name.into(),
            value,
            unit,
            bar,
        }
    }

    pub(crate) fn holds(&self) -> bool {
        match self.bar {
            Bar::None => true,
            Bar::AtLeast(least) => self.value >= least,
            Bar::AtMost(most) => self.value <= most,
        }
    }

    pub(crate) fn print(&self) {
        let bar = match self.bar {
            Bar::None => "-".to_owned(),
            Bar::AtLeast(least) => format!(">={least}"),
            Bar::AtMost(most) => format!("<={most}"),
        };
        let verdict = if self.holds() { "ok" } else { "short" };
        #[expect(clippy::print_stdout, reason = "the report is what this program is for")]
        {
            println!("{} {:.3} {} {bar} {verdict}", self.name, self.value, self.unit);
        }
    }
}

/// The middle one; the mean of the middle two for an even count. 0 for none.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}

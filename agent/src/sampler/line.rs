//! The line to libvirt: one connection of a loop, made anew when it is lost, and what to say about its failures.

use super::Config;
use crate::libvirt::protocol::Access;
use crate::libvirt::{self, Client};
use std::io;
use vmscope_model::{Cause, Group};

/// Why a loop has no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// It did not come in time.
    #[error("libvirt did not answer in time")]
    Deadline,
    /// Asking failed.
    #[error(transparent)]
    Libvirt(#[from] libvirt::Error),
}

impl From<tokio::time::error::Elapsed> for Error {
    fn from(_: tokio::time::error::Elapsed) -> Self {
        Self::Deadline
    }
}

/// A connection that is tried again with every tick while it is down: a refused connection to a Unix socket costs less
/// than any answer.
#[derive(Debug)]
pub(super) struct Line {
    config: Config,
    client: Option<Client>,
}

impl Line {
    pub(super) const fn new(config: Config) -> Self {
        Self { config, client: None }
    }

    /// The connection, a new one if need be; says whether it is new.
    ///
    /// # Errors
    /// libvirt can't be reached.
    pub(super) async fn client(&mut self) -> Result<(&mut Client, bool), libvirt::Error> {
        // A daemon that was restarted between two ticks costs no tick.
        let kept = self.client.take().filter(|client| !client.is_released());
        let is_new = kept.is_none();
        let client = match kept {
            Some(client) => client,
            None => {
                Client::connect(
                    &self.config.libvirt_socket,
                    &self.config.libvirt_uri,
                    Access::Read,
                )
                .await?
            }
        };
        Ok((self.client.insert(client), is_new))
    }

    /// Gives the connection away; the next call makes a new one.
    pub(super) const fn take(&mut self) -> Option<Client> {
        self.client.take()
    }

    /// Whether a connection stands.
    pub(super) const fn is_connected(&self) -> bool {
        self.client.is_some()
    }
}

/// Says in the log what changes, once, and which gap a failure makes.
#[derive(Debug)]
pub(super) struct Health {
    group: Group,
    state: State,
    /// libvirt has answered in this run: from then on its absence is a loss.
    was_up: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Unknown,
    Up,
    Absent,
    Failing(Cause),
}

impl Health {
    pub(super) const fn new(group: Group) -> Self {
        Self {
            group,
            state: State::Unknown,
            was_up: false,
        }
    }

    fn turn(&mut self, state: State) -> bool {
        std::mem::replace(&mut self.state, state) != state
    }

    /// An answer came.
    pub(super) fn up(&mut self) {
        self.was_up = true;
        if self.turn(State::Up) {
            tracing::info!(sampler.group = self.group.name(), "libvirt answers");
        }
    }

    /// No answer came. Returns the cause of the gap; none on a host that has no libvirt.
    pub(super) fn down(&mut self, error: &Error) -> Option<Cause> {
        let group = self.group.name();
        let cause = match error {
            Error::Libvirt(libvirt::Error::Connect { path, source })
                if source.kind() == io::ErrorKind::NotFound && !self.was_up =>
            {
                // Both loops find out; one of them says so.
                if self.turn(State::Absent) && self.group == Group::Cheap {
                    let socket = path.display();
                    tracing::info!(%socket, "no libvirt here, reporting the host alone");
                }
                return None;
            }
            Error::Deadline => Cause::Deadline,
            Error::Libvirt(_) => Cause::LibvirtDown,
        };
        if self.turn(State::Failing(cause)) {
            let error = error as &dyn std::error::Error;
            tracing::warn!(
                sampler.group = group,
                error,
                "libvirt does not answer, its VMs have gaps"
            );
        }
        Some(cause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connect_error(kind: io::ErrorKind) -> Error {
        libvirt::Error::Connect {
            path: "/none".into(),
            source: kind.into(),
        }
        .into()
    }

    #[test]
    fn a_host_without_libvirt_has_no_gaps() {
        let mut health = Health::new(Group::Cheap);
        assert_eq!(health.down(&connect_error(io::ErrorKind::NotFound)), None);
    }

    #[test]
    fn a_libvirt_that_goes_away_leaves_gaps() {
        let mut health = Health::new(Group::Cheap);
        health.up();
        assert_eq!(
            health.down(&connect_error(io::ErrorKind::NotFound)),
            Some(Cause::LibvirtDown)
        );
        assert_eq!(health.down(&Error::Deadline), Some(Cause::Deadline));
    }

    #[test]
    fn a_socket_that_nobody_serves_is_a_gap_from_the_start() {
        let mut health = Health::new(Group::Dear);
        let refused = connect_error(io::ErrorKind::ConnectionRefused);
        assert_eq!(health.down(&refused), Some(Cause::LibvirtDown));
    }
}

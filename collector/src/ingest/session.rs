//! The beginning and the end of every session: who it is, what it is here for, and why it was refused.

use super::agent::{Caller, Tenure};
use super::clock::{self, now_us};
use super::{Centre, agent};
use crate::database::chain;
use crate::enrol::desk;
use crate::feed;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use vmscope_link::{Arrival, CloseCode, Control, Incoming, Receiver, Role, Session};
use vmscope_model::wire::{self, Columns, Message};
use vmscope_model::{HostId, Position};

/// How long a peer may take to say hello once it is connected.
const HELLO_DEADLINE: Duration = Duration::from_secs(10);

/// How long a peer may take to receive the last acknowledgements.
const FAREWELL_DEADLINE: Duration = Duration::from_secs(2);

/// Why a session ended before its peer ended it.
#[derive(Debug)]
pub(crate) enum End {
    /// The collector stops.
    Stopping,
    /// The peer broke a rule.
    Refused(Refusal),
    /// The connection ended or broke.
    Link(vmscope_link::Error),
}

/// A rule that a peer broke; the text is what a person can do about it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// The certificate is for something else.
    #[error("a collector takes sessions of agents and web servers; this certificate has another role")]
    WrongRole,
    /// The first message is not Hello, or does not come.
    #[error("the session did not begin with a hello; is this another version of vmscope?")]
    NoHello,
    /// What came is no message.
    #[error("not a message of this version of vmscope: {0}")]
    BadMessage(vmscope_link::Error),
    /// The sender's columns can't be used.
    #[error("the columns of the hello are not valid: {0}")]
    BadColumns(wire::Error),
    /// A frame can't be read.
    #[error("a frame can't be read: {0}")]
    BadFrame(wire::Error),
    /// A frame for a host that the certificate does not name.
    #[error(
        "the certificate is for host {certificate}, the frame for {frame}; issue a certificate for this host"
    )]
    HostMismatch {
        /// The certificate's host.
        certificate: HostId,
        /// The frame's host.
        frame: HostId,
    },
    /// Positions that do not grow, or can't be stored.
    #[error("a tick at {next:?} can't follow {last:?}")]
    OutOfOrder {
        /// The session's last position.
        last: Option<Position>,
        /// What came after it.
        next: Position,
    },
    /// A tick at a time that no clock shows.
    #[error("a tick {time_us} us after 1970; is the host's clock set?")]
    BadTime {
        /// The tick's time.
        time_us: i64,
    },
    /// A message that has no place in this session.
    #[error("a message that has no place in this session; is this another version of vmscope?")]
    UnexpectedMessage,
    /// The database refuses the data for good.
    #[error("the database refuses the data of a frame; the collector's log says why")]
    BadData(Option<vmscope_store::Error>),
    /// Sessions begin too often.
    #[error(
        "sessions begin too often; the agent comes again by itself, unless two agents share one certificate"
    )]
    TooManySessions,
    /// A newer session speaks for the host.
    #[error("a newer session of this host took over; do two agents share one certificate?")]
    Replaced,
    /// The host or its certificate is revoked.
    #[error(
        "this host or its certificate is revoked; if it may come back, make a token for it (vmscope-collector enrol token \
         create --host UUID) and enrol again (vmscope-agent enrol)"
    )]
    Revoked,
    /// The feed can't say more in this session.
    #[error("the feed begins anew: {0}")]
    FeedExhausted(wire::Error),
}

impl Refusal {
    /// Stable code for programs and counters.
    pub(crate) const fn code(&self) -> &'static str {
        match self {
            Self::WrongRole => "wrong_role",
            Self::NoHello => "no_hello",
            Self::BadMessage(error) => error.name(),
            Self::BadColumns(_) => "bad_columns",
            Self::BadFrame(_) => "bad_frame",
            Self::HostMismatch { .. } => "host_mismatch",
            Self::OutOfOrder { .. } => "out_of_order",
            Self::BadTime { .. } => "bad_time",
            Self::UnexpectedMessage => "unexpected_message",
            Self::BadData(_) => "bad_data",
            Self::TooManySessions => "too_many_sessions",
            Self::Replaced => "replaced",
            Self::Revoked => "revoked",
            Self::FeedExhausted(_) => "feed_exhausted",
        }
    }
}

impl From<Refusal> for End {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<vmscope_link::Error> for End {
    fn from(error: vmscope_link::Error) -> Self {
        use vmscope_link::Error::{Decode, Oversized, Truncated};
        match error {
            Decode(_) | Oversized { .. } | Truncated => Self::Refused(Refusal::BadMessage(error)),
            error => Self::Link(error),
        }
    }
}

/// What a peer's hello said.
#[derive(Debug)]
pub(crate) struct Greeting {
    /// The peer's version.
    pub(crate) software: String,
    /// How it writes frames.
    pub(crate) columns: Vec<Columns>,
    /// How far its clock is ahead of this one, in microseconds.
    pub(crate) clock_offset_us: i64,
}

/// The collector's answer to a hello.
pub(crate) fn welcome(committed: Vec<Position>) -> Message {
    Message::Welcome {
        software: env!("CARGO_PKG_VERSION").to_owned(),
        clock_us: now_us(),
        columns: wire::columns(),
        committed,
    }
}

/// Serves one connection from its handshake to its end.
pub(super) async fn serve(incoming: Incoming, centre: Arc<Centre>) {
    let mut session = match incoming.receive().await {
        Ok(Arrival::Session(session)) => session,
        Ok(Arrival::Enrolment(enrolment)) => return desk::serve(enrolment, &centre.registrar).await,
        Err(refused) => {
            centre.metrics.refuse(refused.cause.name());
            tracing::debug!(remote = %refused.remote, error = chain(&refused), "connection refused");
            return;
        }
    };
    let mut tenure = None;
    let end = converse(&mut session, &centre, &mut tenure).await;
    close(session, end, &centre).await;
    if let Some(tenure) = tenure {
        tenure.end(&centre).await;
    }
}

/// `tenure` is what an agent's session holds in the database, however it ends.
async fn converse(
    session: &mut Session,
    centre: &Arc<Centre>,
    tenure: &mut Option<Tenure>,
) -> Result<(), End> {
    let Session {
        peer,
        remote,
        certificate,
        sender,
        receiver,
        control,
    } = session;
    let served = async {
        match peer {
            Role::Agent(host) => {
                let _open = centre.metrics.session("agent");
                let greeting = hello(receiver, control).await?;
                let caller = Caller {
                    host: *host,
                    certificate: *certificate,
                    remote: *remote,
                };
                agent::serve(centre, caller, greeting, tenure, sender, receiver).await
            }
            Role::Web(name) => {
                let _open = centre.metrics.session("web");
                let greeting = hello(receiver, control).await?;
                centre.pace.begin(None)?;
                tracing::info!(web.name = %name, web.version = greeting.software, "web server connected");
                feed::serve(centre, sender, receiver).await
            }
            Role::Collector(_) => Err(Refusal::WrongRole.into()),
        }
    };
    tokio::select! {
        end = served => end,
        // A session that waits for the database neither reads nor writes, and would not notice.
        error = control.closed() => Err(End::Link(error)),
    }
}

async fn hello(receiver: &mut Receiver, control: &Control) -> Result<Greeting, End> {
    match timeout(HELLO_DEADLINE, receiver.recv()).await {
        Ok(Ok(Some(Message::Hello {
            software,
            clock_us,
            columns,
        }))) => Ok(Greeting {
            software,
            columns,
            clock_offset_us: clock::offset_us(clock_us, control.round_trip(), now_us()),
        }),
        Ok(Ok(_)) | Err(_) => Err(Refusal::NoHello.into()),
        Ok(Err(error)) => Err(error.into()),
    }
}

/// Ends the connection in a way that tells the peer why, and counts refusals.
async fn close(mut session: Session, end: Result<(), End>, centre: &Centre) {
    let (peer, remote) = (session.peer.to_string(), session.remote);
    match end {
        Ok(()) | Err(End::Stopping) => {
            tracing::info!(peer, %remote, "session closed");
            // A peer that does not take its last messages learns the same in its next session.
            let _ = timeout(FAREWELL_DEADLINE, session.sender.finish()).await;
            session.close(CloseCode::Done, "");
        }
        Err(End::Refused(Refusal::Replaced)) => {
            centre.metrics.refuse(Refusal::Replaced.code());
            tracing::info!(peer, %remote, "session replaced by a newer one");
            session
                .refuse(Refusal::Replaced.code(), &Refusal::Replaced.to_string())
                .await;
        }
        Err(End::Refused(refusal)) => {
            let code = refusal.code();
            centre.metrics.refuse(code);
            tracing::warn!(peer, %remote, code, error = chain(&refusal), "session refused");
            session.refuse(code, &refusal.to_string()).await;
        }
        Err(End::Link(error)) => tracing::info!(peer, %remote, error = chain(&error), "session ended"),
    }
}

//! The link between agents, collectors and web servers: QUIC with mutual TLS 1.3, roles in certificates, framed messages.
//!
//! - Who may speak is decided by certificates alone: one [`Authority`] signs an [`Identity`] for each [`Role`], the role
//!   stands in the certificate, and both sides check it before a byte of a message is read.
//! - A [`Listener`] (in collectors) hands out [`Incoming`] connections that become a [`Session`] or are [`Refused`] with a
//!   [`Cause`] that can be counted; a [`Dialer`] (in agents and web servers) makes a [`Session`] or says why not.
//! - A session is one bidirectional stream of [messages](vmscope_model::wire::Message), each behind its length. What comes
//!   in is limited before it is held: by QUIC flow control, then by [`MAX_MESSAGE_BYTES`].
//!
//! No input from the network makes this package panic, and none makes it hold more than the limits in [`Limits`] and
//! the constants beside it. A broken peer costs its own session; the listener lives on.
//!
//! [`MAX_MESSAGE_BYTES`]: vmscope_model::wire::MAX_MESSAGE_BYTES

pub mod authority;
mod backoff;
mod cause;
mod dialer;
mod error;
pub mod identity;
mod limits;
mod listener;
pub mod role;
mod session;
mod tls;

pub use authority::{Authority, Issued, Validity};
pub use backoff::Backoff;
pub use cause::{Cause, Refused};
pub use dialer::Dialer;
pub use error::Error;
pub use identity::{Identity, IdentityFiles};
pub use limits::{Limits, Timing};
pub use listener::{Incoming, Listener};
pub use role::Role;
pub use session::{CloseCode, Control, Receiver, Sender, Session, WireBytes};

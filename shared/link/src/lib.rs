//! The link between agents, collectors and web servers: QUIC with mutual TLS 1.3, roles in certificates, framed messages.
//!
//! - Who may speak is decided by certificates alone: one [`Authority`] signs an [`Identity`] for each [`Role`], the role
//!   stands in the certificate, and both sides check it before a byte of a message is read.
//! - A [`Listener`] (in collectors) hands out [`Incoming`] connections that become a [`Session`] or are [`Refused`] with a
//!   [`Cause`] that can be counted; a [`Dialer`] (in agents and web servers) makes a [`Session`] or says why not.
//! - A host without a certificate may [ask](enrolment::ask) for one: on the same port, by a protocol of its own, where it
//!   knows the collector by the pinned [`Fingerprint`] of the authority and proves itself by a [`Token`]. Its key and the
//!   [`Request`] never hold up an identity that works.
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
pub mod enrolment;
mod error;
mod files;
mod fingerprint;
mod fork;
pub mod identity;
mod limits;
mod listener;
mod pin;
pub mod request;
pub mod role;
mod self_signed;
mod session;
mod tls;
pub mod token;

pub use authority::{Authority, Issued, Signed, Validity};
pub use backoff::Backoff;
pub use cause::{Cause, Refused};
pub use dialer::Dialer;
pub use enrolment::Enrolment;
pub use error::Error;
pub use fingerprint::{Fingerprint, Malformed};
pub use identity::{Identity, IdentityFiles};
pub use limits::{Limits, Timing};
pub use listener::{Arrival, Incoming, Listener};
pub use request::Request;
pub use role::Role;
pub use self_signed::SelfSigned;
pub use session::{CloseCode, Control, Receiver, Sender, Session, WireBytes};
pub use token::Token;

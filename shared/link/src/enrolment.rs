//! The one exchange that a host without a certificate may have with a collector: one request, one answer.
//!
//! The host verifies the collector by the pinned fingerprint of its authority before anything is sent, so a token never
//! reaches anyone else. The collector knows nothing of the host: messages are limited to a few KiB.

use crate::dialer;
use crate::error::Error;
use crate::fingerprint::Fingerprint;
use crate::limits::{Side, Timing, transport};
use crate::pin::Pinned;
use crate::session::{CloseCode, Control, Receiver, Sender, refuse};
use crate::tls::{self, SERVER_NAME};
use quinn::{ClientConfig, Connection, Endpoint, RecvStream, SendStream};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use vmscope_model::wire::Message;

/// The longest message from a host without a certificate.
const MAX_REQUEST_BYTES: usize = 16 << 10;
/// The longest answer: two roots and a certificate, with room.
const MAX_ANSWER_BYTES: usize = 64 << 10;
/// How long the other side may take to receive the last message.
const FAREWELL_DEADLINE: Duration = Duration::from_secs(2);

/// The collector's end of an exchange.
#[derive(Debug)]
pub struct Enrolment {
    /// Where the host is.
    pub remote: SocketAddr,
    sender: Sender,
    receiver: Receiver,
    control: Control,
}

impl Enrolment {
    pub(crate) fn new(connection: Connection, send: SendStream, receive: RecvStream) -> Self {
        Self {
            remote: connection.remote_address(),
            sender: Sender::new(send),
            receiver: Receiver::new(receive, MAX_REQUEST_BYTES),
            control: Control::new(connection),
        }
    }

    /// What the host asks for; `None` when it leaves without a word.
    ///
    /// # Errors
    /// As [`Receiver::recv`].
    pub async fn request(&mut self) -> Result<Option<Message>, Error> {
        self.receiver.recv().await
    }

    /// Gives the host what it asked for and ends the exchange. Whether it arrived is not known: the host asks again.
    pub async fn answer(mut self, message: &Message) {
        let told = async {
            self.sender.send(message).await?;
            self.sender.finish().await
        };
        if !matches!(tokio::time::timeout(FAREWELL_DEADLINE, told).await, Ok(Ok(()))) {
            tracing::debug!(remote = %self.remote, "answer to an enrolment not delivered");
        }
        self.control.close(CloseCode::Done, "");
    }

    /// Tells the host why not, and ends the exchange.
    pub async fn refuse(self, code: &str, advice: &str) {
        refuse(self.sender, &self.control, self.remote, code, advice).await;
    }
}

/// Asks the collector at `address`, whose authority has a root with the fingerprint `pin`, and gives its answer.
///
/// # Errors
/// [`Error::WrongPin`] when the collector has another authority: nothing was sent then. Else as
/// [`Dialer::connect`](crate::Dialer::connect) and [`Receiver::recv`]; [`Error::Ended`] when there is no answer.
pub async fn ask(
    address: SocketAddr,
    pin: Fingerprint,
    timing: Timing,
    request: &Message,
) -> Result<Message, Error> {
    let pinned = Pinned::new(pin);
    let mut config = ClientConfig::new(Arc::new(tls::enrolment_client(Arc::clone(&pinned))?));
    config.transport_config(transport(timing, Side::Client));
    let local = match address {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    let endpoint = Endpoint::client(local).map_err(|source| Error::Bind {
        address: local,
        source,
    })?;
    let connecting = endpoint
        .connect_with(config, address, SERVER_NAME)
        .map_err(|source| Error::Dial { address, source })?;
    let connected = dialer::shake_hands(connecting, address, timing).await;
    let connection = connected.map_err(|error| match pinned.shown_instead() {
        Some(shown) => Error::WrongPin {
            address,
            shown: shown.to_vec(),
        },
        None => error,
    })?;
    let answer = exchange(&connection, request).await;
    Control::new(connection).close(CloseCode::Done, "");
    // The collector notices the end without this as well, only later.
    let _ = tokio::time::timeout(FAREWELL_DEADLINE, endpoint.wait_idle()).await;
    answer
}

async fn exchange(connection: &Connection, request: &Message) -> Result<Message, Error> {
    dialer::collector(connection)?;
    let (send, receive) = connection.open_bi().await?;
    let (mut sender, mut receiver) = (Sender::new(send), Receiver::new(receive, MAX_ANSWER_BYTES));
    sender.send(request).await?;
    receiver.recv().await?.ok_or(Error::Ended)
}

//! One connection to libvirt.

use super::Error;
use super::guest;
use super::protocol::{
    self, Access, Authentication, Domain, Groups, Header, MAX_MESSAGE_BYTES, MIN_MESSAGE_BYTES, procedure,
};
use super::xdr::{self, Reader};
use std::io;
use std::path::Path;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use vmscope_model::Guest;

/// Bytes that are read at a time, so that a length alone can't make us allocate what never arrives.
const CHUNK_BYTES: u64 = 256 * 1024;

/// Version numbers as libvirt gives them: major * 1,000,000 + minor * 1,000 + release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versions {
    /// Of the hypervisor.
    pub hypervisor: u64,
    /// Of libvirt.
    pub library: u64,
}

/// A connection that has opened its driver.
///
/// Calls have no deadline of their own: put one around them. A call that is dropped before its answer leaves the
/// connection [unanswered](Error::Unanswered): no further call goes out on it.
#[derive(Debug)]
pub struct Client {
    stream: UnixStream,
    serial: u32,
    /// A call is under way, or was given up.
    waiting: bool,
    /// The last answer, kept to reuse its memory.
    answer: Vec<u8>,
}

impl Client {
    /// Connects to the socket and opens `uri`.
    ///
    /// # Errors
    /// Nobody listens, authentication is wanted, or libvirt refuses.
    pub async fn connect(socket: &Path, uri: &str, access: Access) -> Result<Self, Error> {
        let stream = UnixStream::connect(socket)
            .await
            .map_err(|source| Error::Connect {
                path: socket.to_owned(),
                source,
            })?;
        let mut client = Self {
            stream,
            serial: 0,
            waiting: false,
            answer: Vec::new(),
        };
        let ways = client.call(procedure::AUTH_LIST, &[]).await?;
        match Authentication::choose(ways).map_err(malformed(procedure::AUTH_LIST))? {
            Some(Authentication::None) => {}
            // libvirt asks polkit who is at our end of the socket; there is nothing to say.
            Some(Authentication::Polkit) => {
                client.call(procedure::AUTH_POLKIT, &[]).await?;
            }
            None => {
                return Err(Error::Authentication {
                    path: socket.to_owned(),
                });
            }
        }
        client
            .call(procedure::CONNECT_OPEN, &protocol::open_arguments(uri, access))
            .await?;
        Ok(client)
    }

    /// The domains that run.
    ///
    /// # Errors
    /// The connection broke, libvirt refused, or the answer is malformed.
    pub async fn running(&mut self) -> Result<Vec<Domain>, Error> {
        let procedure = procedure::CONNECT_LIST_ALL_DOMAINS;
        let answer = self.call(procedure, &protocol::running_arguments()).await?;
        protocol::read_domains(&mut Reader::new(answer)).map_err(malformed(procedure))
    }

    /// What the agent in `domain` says of its guest. Waits as long as the agent makes libvirt wait, which may be for ever.
    ///
    /// # Errors
    /// The connection broke, libvirt refused (there is no agent, it does not answer, or the connection is read-only), or the
    /// answer is malformed.
    pub async fn guest(&mut self, domain: &Domain) -> Result<Guest, Error> {
        let arguments = protocol::guest_arguments(domain);
        guest::read(self.call(procedure::DOMAIN_GET_GUEST_INFO, &arguments).await?)
    }

    /// Statistics of `domains`, of every one if there are none: the answer's XDR, a list of records for [`rows`](super::rows).
    ///
    /// # Errors
    /// The connection broke or libvirt refused.
    pub async fn statistics(&mut self, domains: &[Domain], groups: Groups) -> Result<&[u8], Error> {
        self.call(
            procedure::CONNECT_GET_ALL_DOMAIN_STATS,
            &protocol::stats_arguments(domains, groups),
        )
        .await
    }

    /// Versions of the hypervisor and of libvirt.
    ///
    /// # Errors
    /// The connection broke, libvirt refused, or the answer is malformed.
    pub async fn versions(&mut self) -> Result<Versions, Error> {
        Ok(Versions {
            hypervisor: self.number(procedure::CONNECT_GET_VERSION).await?,
            library: self.number(procedure::CONNECT_GET_LIB_VERSION).await?,
        })
    }

    /// Ends the session in libvirt's own way; dropping the client ends it too.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn close(mut self) -> Result<(), Error> {
        self.call(procedure::CONNECT_CLOSE, &[]).await.map(|_| ())
    }

    /// Whether a given-up call has been answered, or the connection has ended. The client is of no use after that.
    pub fn is_released(&self) -> bool {
        !matches!(self.stream.try_read(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    async fn number(&mut self, procedure: u32) -> Result<u64, Error> {
        let answer = self.call(procedure, &[]).await?;
        Reader::new(answer).u64().map_err(malformed(procedure))
    }

    /// Calls a procedure and returns the XDR of its result.
    async fn call(&mut self, procedure: u32, arguments: &[u8]) -> Result<&[u8], Error> {
        if std::mem::replace(&mut self.waiting, true) {
            return Err(Error::Unanswered);
        }
        self.serial = self.serial.wrapping_add(1);
        let message = protocol::call(procedure, self.serial, arguments);
        self.stream
            .write_all(&message)
            .await
            .map_err(|source| Error::Send { procedure, source })?;
        let (header, start) = loop {
            self.receive(procedure).await?;
            let mut reader = Reader::new(&self.answer);
            let header = Header::read(&mut reader).map_err(malformed(procedure))?;
            // Events and keep-alives of other programs are not for us.
            if header.is_reply && header.serial == self.serial {
                break (header, self.answer.len() - reader.left());
            }
        };
        self.waiting = false;
        if header.procedure != procedure {
            return Err(Error::Procedure {
                expected: procedure,
                got: header.procedure,
            });
        }
        let result = &self.answer[start..];
        if header.failed {
            let (code, message) =
                protocol::read_error(&mut Reader::new(result)).map_err(malformed(procedure))?;
            return Err(Error::Refused {
                procedure,
                code,
                message: message.to_owned(),
            });
        }
        Ok(result)
    }

    /// Receives one message, without its length, into `answer`.
    async fn receive(&mut self, procedure: u32) -> Result<(), Error> {
        let failed = |source| Error::Receive { procedure, source };
        let bytes = self.stream.read_u32().await.map_err(failed)?;
        if !(MIN_MESSAGE_BYTES..=MAX_MESSAGE_BYTES).contains(&bytes) {
            return Err(Error::Length { bytes });
        }
        self.answer.clear();
        let mut left = u64::from(bytes) - 4;
        while left > 0 {
            let mut chunk = (&mut self.stream).take(left.min(CHUNK_BYTES));
            let got = chunk.read_to_end(&mut self.answer).await.map_err(failed)?;
            if got == 0 {
                return Err(failed(io::ErrorKind::UnexpectedEof.into()));
            }
            left -= got as u64;
        }
        Ok(())
    }
}

fn malformed(procedure: u32) -> impl Fn(xdr::Error) -> Error {
    move |source| Error::Malformed { procedure, source }
}

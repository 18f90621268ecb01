//! An hour of bad manners in a few minutes: random bytes, broken frames and wrong certificates against the collector's port.

use crate::site::{Site, eventually};
use anyhow::{Context, ensure};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, Endpoint};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, RngExt, SeedableRng};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use vmscope_link::authority::LEAF_DAYS;
use vmscope_link::{Authority, Issued, Role, Validity};
use vmscope_model::wire::{self, Frame, MAX_MESSAGE_BYTES, Message};
use vmscope_model::{HostId, Position};

/// What every client of a collector offers.
const ALPN: &[u8] = b"vmscope/1";
/// What hosts without a certificate offer.
const ENROL_ALPN: &[u8] = b"vmscope-enrol/1";
/// The name that every collector's certificate carries.
const SERVER_NAME: &str = "collector.vmscope";
/// How long one attack may last.
const ATTACK_LIMIT: Duration = Duration::from_secs(3);
/// The share of the time after which memory is expected to have settled.
const SETTLED: f64 = 0.4;
/// How many hosts have a good certificate and misbehave: one alone would soon be over its limit of sessions, and its attacks
/// would not get to the decoders.
const BAD_HOSTS: usize = 32;

/// One way to misbehave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Attack {
    /// Datagrams of random bytes.
    Noise,
    /// A certificate of another authority.
    Stranger,
    /// No certificate.
    Nameless,
    /// A certificate that has expired.
    Expired,
    /// A collector's certificate where an agent's belongs.
    WrongRole,
    /// Random bytes on the stream.
    Babble,
    /// A length prefix beyond every limit.
    Oversized,
    /// A message that stops in the middle.
    Truncated,
    /// A greeting, then a frame of random bytes.
    BadFrame,
    /// A greeting, then samples of somebody else's host.
    OtherHost,
    /// An acknowledgement, which only collectors send.
    OutOfTurn,
    /// Random bytes where hosts without a certificate ask for one.
    Beggar,
    /// A token that was guessed.
    Guesser,
}

const ATTACKS: [Attack; 13] = [
    Attack::Noise,
    Attack::Stranger,
    Attack::Nameless,
    Attack::Expired,
    Attack::WrongRole,
    Attack::Babble,
    Attack::Oversized,
    Attack::Truncated,
    Attack::BadFrame,
    Attack::OtherHost,
    Attack::OutOfTurn,
    Attack::Beggar,
    Attack::Guesser,
];

/// What happened.
#[derive(Debug)]
pub struct Outcome {
    /// How often each attack was made.
    pub attacks: BTreeMap<String, u64>,
    /// What the collector counted as refused, by cause.
    pub refused: BTreeMap<String, u64>,
    /// The collector's largest resident memory while settling, in KiB.
    pub early_rss_kib: u64,
    /// The same for the rest of the time.
    pub late_rss_kib: u64,
}

/// Attacks the collector of `site` for `length`.
///
/// # Errors
/// When the collector died or can't be asked; attacks themselves are expected to fail.
pub async fn run(
    site: &Site,
    collector: &mut crate::daemon::Daemon,
    length: Duration,
    seed: u64,
) -> anyhow::Result<Outcome> {
    let attacker = Attacker::new(site)?;
    let mut random = StdRng::seed_from_u64(seed);
    let mut attacks: BTreeMap<Attack, u64> = BTreeMap::new();
    let (mut early_rss_kib, mut late_rss_kib) = (0, 0);
    let started = Instant::now();
    while started.elapsed() < length {
        let attack = *ATTACKS.choose(&mut random).context("there are attacks")?;
        // The collector hangs up, or the attacker gets bored: both are fine.
        let _ = tokio::time::timeout(ATTACK_LIMIT, attacker.attack(attack, &mut random)).await;
        *attacks.entry(attack).or_default() += 1;
        ensure!(
            collector.is_alive(),
            "the collector died after {attack:?}; see {}",
            collector.log.display()
        );
        let rss_kib = collector.rss_kib()?;
        let early = started.elapsed().as_secs_f64() < SETTLED * length.as_secs_f64();
        let largest = if early {
            &mut early_rss_kib
        } else {
            &mut late_rss_kib
        };
        *largest = rss_kib.max(*largest);
    }
    Ok(Outcome {
        attacks: attacks
            .into_iter()
            .map(|(attack, count)| (format!("{attack:?}"), count))
            .collect(),
        refused: refused(site.collector_admin).await?,
        early_rss_kib,
        late_rss_kib,
    })
}

/// The collector's counters of refusals, by cause.
///
/// # Errors
/// When the admin endpoint does not answer.
pub async fn refused(admin: SocketAddr) -> anyhow::Result<BTreeMap<String, u64>> {
    let mut stream = TcpStream::connect(admin).await?;
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    let counters = text.lines().filter_map(|line| {
        let (cause, count) = line
            .strip_prefix("vmscope_collector_refused_total{cause=\"")?
            .split_once("\"} ")?;
        Some((cause.to_owned(), count.trim().parse().ok()?))
    });
    Ok(counters.collect())
}

/// The client ends of every kind of attack.
struct Attacker {
    endpoint: Endpoint,
    target: SocketAddr,
    bad_hosts: Vec<(HostId, ClientConfig)>,
    stranger: ClientConfig,
    nameless: ClientConfig,
    beggar: ClientConfig,
    expired: ClientConfig,
    collector: ClientConfig,
}

impl Attacker {
    fn new(site: &Site) -> anyhow::Result<Self> {
        let own = &site.authority;
        let other = Authority::create("somebody else")?;
        let issue =
            |authority: &Authority, role: Role, validity| anyhow::Ok(authority.issue(&role, validity)?);
        let past = Validity {
            not_before: std::time::UNIX_EPOCH,
            not_after: std::time::UNIX_EPOCH + Duration::from_hours(24),
        };
        let host = HostId(uuid::Uuid::new_v4());
        let agent = issue(own, Role::Agent(host), Validity::days(LEAF_DAYS))?;
        let bad_hosts = (0..BAD_HOSTS).map(|_| {
            let host = HostId(uuid::Uuid::new_v4());
            let good = issue(own, Role::Agent(host), Validity::days(LEAF_DAYS))?;
            Ok((host, config(&good, true, ALPN)?))
        });
        let mut stranger = issue(&other, Role::Agent(host), Validity::days(LEAF_DAYS))?;
        stranger.ca_pem.clone_from(&agent.ca_pem);
        let collector = issue(
            own,
            Role::Collector("mallory".to_owned()),
            Validity::days(LEAF_DAYS),
        )?;
        Ok(Self {
            endpoint: Endpoint::client((Ipv4Addr::LOCALHOST, 0).into())?,
            target: site.collector_address,
            bad_hosts: bad_hosts.collect::<anyhow::Result<_>>()?,
            stranger: config(&stranger, true, ALPN)?,
            nameless: config(&agent, false, ALPN)?,
            beggar: config(&agent, false, ENROL_ALPN)?,
            expired: config(&issue(own, Role::Agent(host), past)?, true, ALPN)?,
            collector: config(&collector, true, ALPN)?,
        })
    }

    async fn attack(&self, attack: Attack, random: &mut StdRng) -> anyhow::Result<()> {
        let (host, good) = self.bad_hosts.choose(random).context("there are bad hosts")?;
        match attack {
            Attack::Noise => self.noise(random).await,
            Attack::Stranger => self.linger(&self.stranger).await,
            Attack::Nameless => self.linger(&self.nameless).await,
            Attack::Expired => self.linger(&self.expired).await,
            Attack::WrongRole => self.linger(&self.collector).await,
            Attack::Babble => self.speak(good, &[random_bytes(random, 4_096)], random).await,
            Attack::Oversized => {
                let length =
                    u32::try_from(MAX_MESSAGE_BYTES)?.saturating_add(random.random_range(1..1 << 30));
                self.speak(
                    good,
                    &[length.to_le_bytes().to_vec(), random_bytes(random, 65_536)],
                    random,
                )
                .await
            }
            Attack::Truncated => {
                let whole = framed(&hello())?;
                let cut = random.random_range(1..whole.len());
                self.speak(good, &[whole[..cut].to_vec()], random).await
            }
            Attack::BadFrame => {
                let frame = Message::Frame(Frame {
                    host: *host,
                    body: random_bytes(random, 2_000),
                });
                self.speak(good, &[framed(&hello())?, framed(&frame)?], random)
                    .await
            }
            Attack::OtherHost => {
                let frame = Message::Frame(Frame {
                    host: HostId(uuid::Uuid::new_v4()),
                    body: Vec::new(),
                });
                self.speak(good, &[framed(&hello())?, framed(&frame)?], random)
                    .await
            }
            Attack::OutOfTurn => {
                let ack = Message::Ack(Position {
                    epoch: 1,
                    sequence: 1,
                });
                self.speak(good, &[framed(&hello())?, framed(&ack)?], random)
                    .await
            }
            Attack::Beggar => {
                let bytes = random_bytes(random, 4_096);
                self.speak(&self.beggar, &[bytes], random).await
            }
            Attack::Guesser => {
                let guess = Message::Enrol {
                    token: wire::Token(format!("vse_{:012x}_{:064x}", random.random::<u32>(), 7)),
                    host: *host,
                    request: random_bytes(random, 500),
                    software: "hostile".to_owned(),
                };
                self.speak(&self.beggar, &[framed(&guess)?], random).await
            }
        }
    }

    async fn noise(&self, random: &mut StdRng) -> anyhow::Result<()> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        for _ in 0..50 {
            let mut bytes = random_bytes(random, 1_400);
            // Half of them look like the first packet of a QUIC connection of version 1.
            if random.random_bool(0.5) && bytes.len() > 5 {
                bytes[0] |= 0xc0;
                bytes[1..5].copy_from_slice(&[0, 0, 0, 1]);
            }
            socket.send_to(&bytes, self.target).await?;
        }
        Ok(())
    }

    /// Connects, tries to open a stream, and waits to be thrown out.
    async fn linger(&self, config: &ClientConfig) -> anyhow::Result<()> {
        let connection = self.connect(config).await?;
        let (mut sender, _) = connection.open_bi().await?;
        sender.write_all(&framed(&hello())?).await?;
        connection.closed().await;
        Ok(())
    }

    /// Says all parts as `config` says who, then ends the stream in one of three ways.
    async fn speak(
        &self,
        config: &ClientConfig,
        parts: &[Vec<u8>],
        random: &mut StdRng,
    ) -> anyhow::Result<()> {
        let connection = self.connect(config).await?;
        let (mut sender, _receiver) = connection.open_bi().await?;
        for part in parts {
            sender.write_all(part).await?;
        }
        match random.random_range(0..3) {
            0 => sender.finish()?,
            1 => sender.reset(7_u32.into())?,
            _ => {}
        }
        let _ = tokio::time::timeout(Duration::from_millis(200), connection.closed()).await;
        connection.close(0_u32.into(), b"bored");
        Ok(())
    }

    async fn connect(&self, config: &ClientConfig) -> anyhow::Result<Connection> {
        Ok(self
            .endpoint
            .connect_with(config.clone(), self.target, SERVER_NAME)?
            .await?)
    }
}

fn config(issued: &Issued, with_certificate: bool, alpn: &[u8]) -> anyhow::Result<ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(issued.ca_pem.as_bytes())?)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots);
    let mut tls = if with_certificate {
        let chain =
            CertificateDer::pem_slice_iter(issued.certificate_pem.as_bytes()).collect::<Result<_, _>>()?;
        builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(issued.key_pem.as_bytes())?)?
    } else {
        builder.with_no_client_auth()
    };
    tls.alpn_protocols = vec![alpn.to_vec()];
    Ok(ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls)?)))
}

fn hello() -> Message {
    Message::Hello {
        software: "hostile".to_owned(),
        clock_us: 0,
        columns: wire::columns(),
    }
}

fn framed(message: &Message) -> anyhow::Result<Vec<u8>> {
    let bytes = wire::encode(message)?;
    let mut framed = u32::try_from(bytes.len())?.to_le_bytes().to_vec();
    framed.extend_from_slice(&bytes);
    Ok(framed)
}

fn random_bytes(random: &mut StdRng, most: usize) -> Vec<u8> {
    let mut bytes = vec![0; random.random_range(1..most)];
    random.fill_bytes(&mut bytes);
    bytes
}

/// Starts a collector on `database_url`, attacks it, and proves that it still takes a good session's greeting.
///
/// # Errors
/// When the collector died, grew, or no longer answers.
pub async fn prove(database_url: &str, length: Duration, seed: u64) -> anyhow::Result<Outcome> {
    let site = Site::new(database_url)?;
    let mut collector = site.start_collector()?;
    eventually("the collector answers", Duration::from_secs(30), async || {
        Ok(refused(site.collector_admin).await.is_ok())
    })
    .await?;
    let outcome = run(&site, &mut collector, length, seed).await?;
    let dialer = vmscope_link::Dialer::new(&site.agent_identity(HostId(uuid::Uuid::new_v4()))?)?;
    let mut session = dialer.connect(site.collector_address).await?;
    session.sender.send(&hello()).await?;
    let answer = session.receiver.recv().await?;
    ensure!(
        matches!(answer, Some(Message::Welcome { .. })),
        "a good agent got {answer:?}"
    );
    collector.stop()?;
    Ok(outcome)
}

//! The messages of libvirt's RPC that sampling needs.

use super::xdr::{Error, Reader, put_text, put_u32};
use uuid::Uuid;
use vmscope_model::VmId;

/// The longest message that libvirt sends, in bytes (`VIR_NET_MESSAGE_MAX` and the length word).
pub const MAX_MESSAGE_BYTES: u32 = 16 * 1024 * 1024 + 4;
/// The shortest message, in bytes: length word and header.
pub const MIN_MESSAGE_BYTES: u32 = 28;

const PROGRAM: u32 = 0x2000_8086;
const VERSION: u32 = 1;
const TYPE_CALL: u32 = 0;
const TYPE_REPLY: u32 = 1;

/// The procedures in use, with libvirt's numbers.
pub mod procedure {
    /// Opens the driver behind the connection.
    pub const CONNECT_OPEN: u32 = 1;
    /// Ends the session.
    pub const CONNECT_CLOSE: u32 = 2;
    /// Version of the hypervisor.
    pub const CONNECT_GET_VERSION: u32 = 4;
    /// Which ways of authentication the server takes.
    pub const AUTH_LIST: u32 = 66;
    /// Lets polkit say whether we may.
    pub const AUTH_POLKIT: u32 = 70;
    /// Version of libvirt.
    pub const CONNECT_GET_LIB_VERSION: u32 = 157;
    /// Names of all domains.
    pub const CONNECT_LIST_ALL_DOMAINS: u32 = 273;
    /// Statistics of all domains.
    pub const CONNECT_GET_ALL_DOMAIN_STATS: u32 = 344;
    /// What a guest's agent says.
    pub const DOMAIN_GET_GUEST_INFO: u32 = 418;
}

/// A way of authentication that needs no secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authentication {
    /// Nothing is asked.
    None,
    /// libvirt asks polkit.
    Polkit,
}

impl Authentication {
    /// The easiest way that the answer to `AUTH_LIST` has, if there is one.
    ///
    /// # Errors
    /// The answer is too short.
    pub fn choose(answer: &[u8]) -> Result<Option<Self>, Error> {
        let mut reader = Reader::new(answer);
        let mut best = None;
        for _ in 0..reader.count(4)? {
            match reader.u32()? {
                0 => return Ok(Some(Self::None)),
                2 => best = Some(Self::Polkit),
                _ => {}
            }
        }
        Ok(best)
    }
}

/// What a connection may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Look.
    Read,
    /// All that libvirt lets us; needed to ask guests' agents.
    Write,
}

/// Flag of `CONNECT_OPEN`: read-only.
const OPEN_READ_ONLY: u32 = 1;
/// Flag of `CONNECT_LIST_ALL_DOMAINS`: those that run.
const LIST_RUNNING: u32 = 1 << 4;
/// Flag of `CONNECT_GET_ALL_DOMAIN_STATS`: don't wait for a domain that is busy with another job.
const STATS_NO_WAIT: u32 = 1 << 29;

/// Groups of statistics, as libvirt's bit mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Groups(u32);

impl Groups {
    /// State and its reason, out of libvirt's memory.
    pub const STATE: Self = Self(1);
    /// CPU time, which libvirt reads from the host.
    pub const CPU: Self = Self(1 << 1);
    /// Memory: QEMU is asked.
    pub const BALLOON: Self = Self(1 << 2);
    /// Virtual processors; waits for the VM's job as if QEMU were asked.
    pub const VCPU: Self = Self(1 << 3);
    /// Network interfaces, which libvirt reads from the host.
    pub const INTERFACE: Self = Self(1 << 4);
    /// Disks: QEMU is asked twice.
    pub const BLOCK: Self = Self(1 << 5);
    /// All that QEMU must be asked for. The state comes along to tell a busy VM from one that is off.
    pub const DEAR: Self = Self::STATE.with(Self::VCPU).with(Self::BALLOON).with(Self::BLOCK);

    /// These and those.
    #[must_use]
    pub const fn with(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Whether all of `others` are among these.
    pub const fn has(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }

    /// These, and `others` if `condition`.
    #[must_use]
    pub const fn with_if(self, condition: bool, others: Self) -> Self {
        if condition { self.with(others) } else { self }
    }
}

/// A call whose arguments are `arguments` (XDR), complete with its length.
pub fn call(procedure: u32, serial: u32, arguments: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(MIN_MESSAGE_BYTES as usize + arguments.len());
    // Our arguments are some dozen bytes for each domain that they name.
    let length = MIN_MESSAGE_BYTES.saturating_add(u32::try_from(arguments.len()).unwrap_or(u32::MAX));
    for word in [length, PROGRAM, VERSION, procedure, TYPE_CALL, serial, 0] {
        put_u32(&mut out, word);
    }
    out.extend_from_slice(arguments);
    out
}

/// Arguments of `CONNECT_OPEN`.
pub fn open_arguments(uri: &str, access: Access) -> Vec<u8> {
    let mut out = Vec::new();
    put_u32(&mut out, 1);
    put_text(&mut out, uri);
    put_u32(
        &mut out,
        match access {
            Access::Read => OPEN_READ_ONLY,
            Access::Write => 0,
        },
    );
    out
}

/// Arguments of `CONNECT_LIST_ALL_DOMAINS` for those that run.
pub fn running_arguments() -> Vec<u8> {
    let mut out = Vec::new();
    for word in [1, LIST_RUNNING] {
        put_u32(&mut out, word);
    }
    out
}

/// Arguments of `DOMAIN_GET_GUEST_INFO` for everything that the agent knows. Asked for named parts, libvirt would refuse the
/// whole when the agent lacks one.
pub fn guest_arguments(domain: &Domain) -> Vec<u8> {
    let mut out = Vec::new();
    domain.put(&mut out);
    for word in [0, 0] {
        put_u32(&mut out, word);
    }
    out
}

/// Arguments of `CONNECT_GET_ALL_DOMAIN_STATS` for `domains`, every one if there are none, without waiting for busy ones. libvirt
/// passes over domains that are gone.
pub fn stats_arguments(domains: &[Domain], groups: Groups) -> Vec<u8> {
    let mut out = Vec::new();
    put_u32(&mut out, u32::try_from(domains.len()).unwrap_or(u32::MAX));
    for domain in domains {
        domain.put(&mut out);
    }
    for word in [groups.0, STATS_NO_WAIT] {
        put_u32(&mut out, word);
    }
    out
}

/// The header of a message from the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Which procedure it answers.
    pub procedure: u32,
    /// Which call it answers.
    pub serial: u32,
    /// Whether an error follows instead of a result.
    pub failed: bool,
    /// Whether this is an answer of libvirt's main program, not an event or a keep-alive.
    pub is_reply: bool,
}

impl Header {
    /// Reads the header that follows the length word.
    ///
    /// # Errors
    /// The message is too short.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        let (program, version) = (reader.u32()?, reader.u32()?);
        let (procedure, kind, serial, status) = (reader.u32()?, reader.u32()?, reader.u32()?, reader.u32()?);
        let is_reply = program == PROGRAM && version == VERSION && kind == TYPE_REPLY;
        Ok(Self {
            procedure,
            serial,
            failed: status != 0,
            is_reply,
        })
    }
}

/// The beginning of a `virNetMessageError`: code and message; the rest says nothing more.
///
/// # Errors
/// The message is too short or its text broken.
pub fn read_error<'a>(reader: &mut Reader<'a>) -> Result<(i32, &'a str), Error> {
    let code = reader.i32()?;
    let _domain = reader.i32()?;
    Ok((code, reader.optional_text()?.unwrap_or("no message")))
}

/// Value of a typed parameter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Parameter<'a> {
    /// Any of libvirt's integers and booleans; unsigned ones beyond `i64::MAX` become that.
    Integer(i64),
    /// A floating-point number.
    Double(f64),
    /// A text.
    Text(&'a str),
}

/// Reads one typed parameter: its name and its value.
///
/// # Errors
/// The message is too short, a text broken, or the type unknown.
pub fn read_parameter<'a>(reader: &mut Reader<'a>) -> Result<(&'a str, Parameter<'a>), Error> {
    let name = reader.text()?;
    let value = match reader.u32()? {
        1 | 6 => Parameter::Integer(reader.i32()?.into()),
        2 => Parameter::Integer(reader.u32()?.into()),
        3 => Parameter::Integer(reader.i64()?),
        4 => Parameter::Integer(i64::try_from(reader.u64()?).unwrap_or(i64::MAX)),
        5 => Parameter::Double(f64::from_bits(reader.u64()?)),
        7 => Parameter::Text(reader.text()?),
        value => return Err(Error::ParameterType { value }),
    };
    Ok((name, value))
}

/// A domain as libvirt refers to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Domain {
    /// Name.
    pub name: String,
    /// UUID.
    pub vm: VmId,
    /// Number of this run of it; -1 while it is off.
    id: [u8; 4],
}

impl Domain {
    /// A domain in its run number `id`.
    #[cfg(test)]
    pub(crate) fn new(name: &str, vm: VmId, id: i32) -> Self {
        Self {
            name: name.to_owned(),
            vm,
            id: id.to_be_bytes(),
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        Ok(Self {
            name: reader.text()?.to_owned(),
            vm: VmId(Uuid::from_bytes(reader.array()?)),
            id: reader.array()?,
        })
    }

    /// Whether both are the same run of the same VM.
    pub fn is_same_run(&self, other: &Self) -> bool {
        self.vm == other.vm && self.id == other.id
    }

    fn put(&self, out: &mut Vec<u8>) {
        put_text(out, &self.name);
        out.extend_from_slice(self.vm.0.as_bytes());
        out.extend_from_slice(&self.id);
    }
}

/// Fewest bytes of a domain: name, UUID, id.
const MIN_REFERENCE_BYTES: usize = 4 + 16 + 4;

/// The list in the answer to `CONNECT_LIST_ALL_DOMAINS`.
///
/// # Errors
/// The message is too short or a text broken.
pub fn read_domains(reader: &mut Reader<'_>) -> Result<Vec<Domain>, Error> {
    let count = reader.count(MIN_REFERENCE_BYTES)?;
    (0..count).map(|_| Domain::read(reader)).collect()
}

/// What one domain's statistics begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainStats {
    /// Which domain.
    pub domain: Domain,
    /// How many typed parameters follow.
    pub parameters: u32,
}

/// Fewest bytes of a record: name, UUID, id, number of parameters.
pub const MIN_DOMAIN_BYTES: usize = MIN_REFERENCE_BYTES + 4;
/// Fewest bytes of a typed parameter: name, type, value.
pub const MIN_PARAMETER_BYTES: usize = 4 + 4 + 4;

impl DomainStats {
    /// Reads the beginning of a record; its parameters come next.
    ///
    /// # Errors
    /// The message is too short or its text broken.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        Ok(Self {
            domain: Domain::read(reader)?,
            parameters: reader.count(MIN_PARAMETER_BYTES)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_states_its_own_length() {
        let message = call(procedure::AUTH_LIST, 7, &[]);
        assert_eq!(message.len(), 28);
        assert_eq!(message[..4], 28u32.to_be_bytes());
        let header = Header::read(&mut Reader::new(&message[4..]));
        let expected = Header {
            procedure: 66,
            serial: 7,
            failed: false,
            is_reply: false,
        };
        assert_eq!(header, Ok(expected));
    }

    #[test]
    fn the_easiest_way_of_authentication_is_chosen() {
        let choose = |ways: &[u32]| {
            let mut answer = Vec::new();
            put_u32(&mut answer, u32::try_from(ways.len()).unwrap());
            for way in ways {
                put_u32(&mut answer, *way);
            }
            Authentication::choose(&answer).unwrap()
        };
        assert_eq!(choose(&[1, 2, 0]), Some(Authentication::None));
        assert_eq!(choose(&[1, 2]), Some(Authentication::Polkit));
        assert_eq!((choose(&[1]), choose(&[])), (None, None));
    }

    #[test]
    fn a_domain_is_named_as_it_was_listed() {
        let domain = Domain::new("web", VmId(Uuid::from_u128(7)), 9);
        let mut list = vec![0, 0, 0, 1];
        domain.put(&mut list);
        assert_eq!(read_domains(&mut Reader::new(&list)), Ok(vec![domain]));
        assert!(read_domains(&mut Reader::new(&list[..20])).is_err());
    }

    #[test]
    fn statistics_are_asked_of_all_domains_or_of_those_that_are_named() {
        let groups = Groups::STATE.with(Groups::BLOCK);
        assert_eq!(
            stats_arguments(&[], groups),
            [0, 0, 0, 0, 0, 0, 0, 33, 0x20, 0, 0, 0]
        );
        let domain = Domain::new("web", VmId(Uuid::from_u128(7)), 9);
        let named = stats_arguments(std::slice::from_ref(&domain), groups);
        assert_eq!(read_domains(&mut Reader::new(&named)), Ok(vec![domain]));
        assert!(named.ends_with(&[0, 0, 0, 33, 0x20, 0, 0, 0]));
    }

    #[test]
    fn an_unsigned_value_beyond_the_signed_range_is_capped() {
        let mut message = Vec::new();
        put_text(&mut message, "x");
        put_u32(&mut message, 4);
        message.extend_from_slice(&u64::MAX.to_be_bytes());
        let parameter = read_parameter(&mut Reader::new(&message));
        assert_eq!(parameter, Ok(("x", Parameter::Integer(i64::MAX))));
    }
}

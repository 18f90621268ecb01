//! What a guest agent says through libvirt (`virDomainGetGuestInfo`), as facts.
//!
//! libvirt gives typed parameters whose names number their things (`fs.0.mountpoint`, `if.1.addr.0.addr`). Names that are
//! not known are passed over. Texts lose control characters and what exceeds the model's bounds, and so do lists.

use super::Error;
use super::protocol::{MIN_PARAMETER_BYTES, Parameter, procedure, read_parameter};
use super::xdr::{self, Reader};
use vmscope_model::guest::{
    Guest, GuestFileSystem, MAX_ADDRESSES, MAX_FILE_SYSTEMS, MAX_INTERFACES, MAX_TEXT_BYTES, MAX_USERS,
};

/// The facts of an answer to `DOMAIN_GET_GUEST_INFO`.
///
/// # Errors
/// The answer is malformed.
pub fn read(answer: &[u8]) -> Result<Guest, Error> {
    let mut reader = Reader::new(answer);
    let mut sheet = Sheet::default();
    let mut fill = || -> Result<(), xdr::Error> {
        for _ in 0..reader.count(MIN_PARAMETER_BYTES)? {
            let (name, value) = read_parameter(&mut reader)?;
            sheet.take(name, value);
        }
        Ok(())
    };
    fill().map_err(|source| Error::Malformed {
        procedure: procedure::DOMAIN_GET_GUEST_INFO,
        source,
    })?;
    Ok(sheet.finish())
}

/// Facts under way.
#[derive(Default)]
struct Sheet {
    guest: Guest,
    os_name: String,
    /// Each interface's addresses, in two parts.
    addresses: Vec<Vec<Address>>,
}

#[derive(Clone, Default)]
struct Address {
    text: String,
    prefix: Option<i64>,
}

impl Sheet {
    fn take(&mut self, name: &str, value: Parameter<'_>) {
        let guest = &mut self.guest;
        match (name, value) {
            ("hostname", Parameter::Text(text)) => guest.host_name = clean(text),
            ("os.pretty-name", Parameter::Text(text)) => guest.os = clean(text),
            ("os.name", Parameter::Text(text)) => self.os_name = clean(text),
            ("os.id", Parameter::Text(text)) => guest.os_id = clean(text),
            ("os.version", Parameter::Text(text)) => guest.os_version = clean(text),
            ("os.kernel-release", Parameter::Text(text)) => guest.kernel = clean(text),
            ("timezone.name", Parameter::Text(text)) => guest.time_zone = clean(text),
            ("user.count", Parameter::Integer(count)) => guest.user_count = u32::try_from(count).ok(),
            _ => self.take_numbered(name, value),
        }
    }

    fn take_numbered(&mut self, name: &str, value: Parameter<'_>) {
        let Some((list, number, field)) = numbered(name) else {
            return;
        };
        match (list, value) {
            ("user", Parameter::Text(text)) if field == "name" => self.take_user(clean(text)),
            ("fs", _) => {
                if let Some(one) = item(&mut self.guest.file_systems, number, MAX_FILE_SYSTEMS) {
                    take_file_system(one, field, value);
                }
            }
            ("if", _) => self.take_interface(number, field, value),
            _ => {}
        }
    }

    /// One who is logged in twice is named once.
    fn take_user(&mut self, name: String) {
        let users = &mut self.guest.users;
        if users.len() < MAX_USERS && !users.contains(&name) {
            users.push(name);
        }
    }

    fn take_interface(&mut self, number: usize, field: &str, value: Parameter<'_>) {
        let one = item(&mut self.guest.interfaces, number, MAX_INTERFACES);
        let addresses = item(&mut self.addresses, number, MAX_INTERFACES);
        let (Some(one), Some(addresses)) = (one, addresses) else {
            return;
        };
        match (field, value) {
            ("name", Parameter::Text(text)) => one.name = clean(text),
            ("hwaddr", Parameter::Text(text)) => one.hardware_address = clean(text),
            _ => {
                let address = numbered(field)
                    .filter(|(list, ..)| *list == "addr")
                    .and_then(|(_, number, part)| Some((item(addresses, number, MAX_ADDRESSES)?, part)));
                match (address, value) {
                    (Some((address, "addr")), Parameter::Text(text)) => address.text = clean(text),
                    (Some((address, "prefix")), Parameter::Integer(prefix)) => address.prefix = Some(prefix),
                    _ => {}
                }
            }
        }
    }

    fn finish(self) -> Guest {
        let Self {
            mut guest,
            os_name,
            addresses,
        } = self;
        if guest.os.is_empty() {
            guest.os = os_name;
        }
        for (interface, addresses) in guest.interfaces.iter_mut().zip(addresses) {
            let texts = addresses.into_iter().filter(|address| !address.text.is_empty());
            interface.addresses = texts.map(Address::finish).collect();
        }
        guest
    }
}

impl Address {
    fn finish(self) -> String {
        match self.prefix {
            Some(prefix) => clean(&format!("{}/{prefix}", self.text)),
            None => self.text,
        }
    }
}

fn take_file_system(one: &mut GuestFileSystem, field: &str, value: Parameter<'_>) {
    match (field, value) {
        ("mountpoint", Parameter::Text(text)) => one.mount_point = clean(text),
        ("fstype", Parameter::Text(text)) => one.kind = clean(text),
        ("total-bytes", Parameter::Integer(bytes)) => one.total_bytes = u64::try_from(bytes).ok(),
        ("used-bytes", Parameter::Integer(bytes)) => one.used_bytes = u64::try_from(bytes).ok(),
        _ => {}
    }
}

/// Splits `fs.0.mountpoint` into `fs`, 0 and `mountpoint`.
fn numbered(name: &str) -> Option<(&str, usize, &str)> {
    let (list, rest) = name.split_once('.')?;
    let (number, field) = rest.split_once('.')?;
    Some((list, number.parse().ok()?, field))
}

/// The item with this number, new if it is the next; none beyond `limit`.
fn item<T: Default>(list: &mut Vec<T>, number: usize, limit: usize) -> Option<&mut T> {
    if number == list.len() && number < limit {
        list.push(T::default());
    }
    list.get_mut(number)
}

/// Without control characters, and no longer than the model's bound.
fn clean(text: &str) -> String {
    let mut out: String = text.chars().filter(|one| !one.is_control()).collect();
    out.truncate(out.floor_char_boundary(MAX_TEXT_BYTES));
    out
}

#[cfg(test)]
mod tests {
    use super::super::xdr::{put_text, put_u32};
    use super::*;
    use proptest::prelude::*;
    use vmscope_model::guest::GuestInterface;

    /// A parameter as a test writes it.
    #[derive(Debug, Clone)]
    enum Said {
        Text(String),
        Number(u64),
    }

    fn answer(parameters: &[(String, Said)]) -> Vec<u8> {
        let mut out = Vec::new();
        put_u32(&mut out, u32::try_from(parameters.len()).unwrap());
        for (name, said) in parameters {
            put_text(&mut out, name);
            match said {
                Said::Text(text) => {
                    put_u32(&mut out, 7);
                    put_text(&mut out, text);
                }
                Said::Number(number) => {
                    put_u32(&mut out, 4);
                    out.extend_from_slice(&number.to_be_bytes());
                }
            }
        }
        out
    }

    fn text(name: &str, text: &str) -> (String, Said) {
        (name.to_owned(), Said::Text(text.to_owned()))
    }

    fn number(name: &str, number: u64) -> (String, Said) {
        (name.to_owned(), Said::Number(number))
    }

    #[test]
    fn everything_finds_its_place() {
        let said = [
            number("user.count", 3),
            text("user.0.name", "admin"),
            text("user.1.name", "admin"),
            text("user.2.name", "guest"),
            text("os.id", "debian"),
            text("os.pretty-name", "Debian GNU/Linux 12"),
            text("os.version", "12"),
            text("os.kernel-release", "6.1.0"),
            text("timezone.name", "CET"),
            text("hostname", "web-1"),
            number("fs.count", 1),
            text("fs.0.name", "vda1"),
            text("fs.0.mountpoint", "/"),
            text("fs.0.fstype", "ext4"),
            number("fs.0.total-bytes", 1000),
            number("fs.0.used-bytes", 400),
            text("fs.0.disk.0.alias", "vda"),
            text("if.0.name", "eth0"),
            text("if.0.hwaddr", "52:54:00:00:00:01"),
            text("if.0.addr.0.addr", "192.0.2.1"),
            number("if.0.addr.0.prefix", 24),
            text("if.0.addr.1.addr", "fe80::1"),
        ];
        let expected = Guest {
            host_name: "web-1".into(),
            os: "Debian GNU/Linux 12".into(),
            os_id: "debian".into(),
            os_version: "12".into(),
            kernel: "6.1.0".into(),
            time_zone: "CET".into(),
            file_systems: vec![GuestFileSystem {
                mount_point: "/".into(),
                kind: "ext4".into(),
                total_bytes: Some(1000),
                used_bytes: Some(400),
            }],
            interfaces: vec![GuestInterface {
                name: "eth0".into(),
                hardware_address: "52:54:00:00:00:01".into(),
                addresses: vec!["192.0.2.1/24".into(), "fe80::1".into()],
            }],
            user_count: Some(3),
            users: vec!["admin".into(), "guest".into()],
        };
        assert_eq!(read(&answer(&said)).unwrap(), expected);
    }

    #[test]
    fn an_agent_that_says_nothing_leaves_everything_empty() {
        assert_eq!(read(&answer(&[])).unwrap(), Guest::default());
        assert!(matches!(read(&[0, 0, 0, 9]), Err(Error::Malformed { .. })));
    }

    #[test]
    fn a_system_without_a_pretty_name_has_its_plain_one() {
        let said = [text("os.name", "FreeBSD")];
        assert_eq!(read(&answer(&said)).unwrap().os, "FreeBSD");
    }

    #[test]
    fn what_a_guest_says_too_much_is_cut() {
        let mut said = vec![text("hostname", &"ü\n".repeat(1_000))];
        said.extend((0..500).map(|one| text(&format!("fs.{one}.mountpoint"), "/x")));
        said.extend((0..500).map(|one| text(&format!("if.0.addr.{one}.addr"), "::1")));
        said.extend((0..500).map(|one| text(&format!("user.{one}.name"), &format!("u{one}"))));
        let guest = read(&answer(&said)).unwrap();
        assert_eq!(guest.excess(), None);
        assert_eq!(guest.host_name, "ü".repeat(MAX_TEXT_BYTES / 2));
        assert_eq!(guest.file_systems.len(), MAX_FILE_SYSTEMS);
        assert_eq!(guest.interfaces[0].addresses.len(), MAX_ADDRESSES);
        assert_eq!(guest.users.len(), MAX_USERS);
    }

    fn parameter() -> impl Strategy<Value = (String, Said)> {
        let name = prop_oneof![
            "[a-z.]{0,12}",
            "(fs|if|user)\\.[0-9]{1,3}\\.(name|mountpoint|hwaddr|total-bytes|addr\\.[0-9]{1,2}\\.(addr|prefix))",
            Just("hostname".to_owned()),
        ];
        let said = prop_oneof![
            "\\PC{0,400}".prop_map(Said::Text),
            any::<u64>().prop_map(Said::Number)
        ];
        (name, said)
    }

    proptest! {
        #[test]
        fn whatever_is_said_stays_within_bounds(said in proptest::collection::vec(parameter(), 0..80)) {
            prop_assert_eq!(read(&answer(&said)).unwrap().excess(), None);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&bytes);
        }

        #[test]
        fn an_answer_that_is_cut_off_is_malformed(said in proptest::collection::vec(parameter(), 1..20), cut in any::<prop::sample::Index>()) {
            let whole = answer(&said);
            let cut = cut.index(whole.len());
            prop_assert!(read(&whole[..cut]).is_err());
        }
    }
}

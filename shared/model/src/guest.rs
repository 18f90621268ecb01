//! What the system inside of a VM says of itself, through its guest agent.
//!
//! All of it is the guest's own word: a guest may say anything, as much as it likes. So it is bounded where it is read, and
//! again by every codec.

use crate::entity::VmId;
use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

/// The longest text, in bytes; longer ones are cut.
pub const MAX_TEXT_BYTES: usize = 256;
/// The most file systems; the others are left out.
pub const MAX_FILE_SYSTEMS: usize = 64;
/// The most network interfaces; the others are left out.
pub const MAX_INTERFACES: usize = 32;
/// The most addresses of one interface; the others are left out.
pub const MAX_ADDRESSES: usize = 16;
/// The most users by name; the others are only counted.
pub const MAX_USERS: usize = 32;

/// What a guest said, and when.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct GuestFacts {
    /// Which VM.
    pub vm: VmId,
    /// When it answered, microseconds since the Unix epoch.
    pub as_of_us: i64,
    /// What it said.
    pub guest: Guest,
}

/// The system inside of a VM. What it does not say is empty or absent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode, Serialize, Deserialize)]
#[serde(default)]
pub struct Guest {
    /// Host name.
    pub host_name: String,
    /// Operating system with version, for people (`Debian GNU/Linux 12 (bookworm)`).
    pub os: String,
    /// Short name of the operating system (`debian`, `mswindows`).
    pub os_id: String,
    /// Its version alone.
    pub os_version: String,
    /// Kernel release.
    pub kernel: String,
    /// Time zone as the guest abbreviates it (`CET`).
    pub time_zone: String,
    /// Mounted file systems.
    pub file_systems: Vec<GuestFileSystem>,
    /// Network interfaces.
    pub interfaces: Vec<GuestInterface>,
    /// How many users are logged in; absent when it does not say.
    pub user_count: Option<u32>,
    /// The first of them, by name, each once.
    pub users: Vec<String>,
}

/// A file system of a guest.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode, Serialize, Deserialize)]
#[serde(default)]
pub struct GuestFileSystem {
    /// Where it is mounted.
    pub mount_point: String,
    /// Its type (`ext4`, `NTFS`).
    pub kind: String,
    /// Its size.
    pub total_bytes: Option<u64>,
    /// What is used of it.
    pub used_bytes: Option<u64>,
}

/// A network interface of a guest.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode, Serialize, Deserialize)]
#[serde(default)]
pub struct GuestInterface {
    /// Its name in the guest (`eth0`).
    pub name: String,
    /// Its hardware address.
    pub hardware_address: String,
    /// Its addresses with prefix length (`192.0.2.11/24`).
    pub addresses: Vec<String>,
}

impl Guest {
    /// Every text in it.
    pub fn texts(&self) -> impl Iterator<Item = &String> {
        let own = [
            &self.host_name,
            &self.os,
            &self.os_id,
            &self.os_version,
            &self.kernel,
            &self.time_zone,
        ];
        let file_systems = self
            .file_systems
            .iter()
            .flat_map(|one| [&one.mount_point, &one.kind]);
        let interfaces = self.interfaces.iter().flat_map(|one| {
            [&one.name, &one.hardware_address]
                .into_iter()
                .chain(&one.addresses)
        });
        own.into_iter()
            .chain(file_systems)
            .chain(interfaces)
            .chain(&self.users)
    }

    /// What exceeds its bound, and the bound.
    pub fn excess(&self) -> Option<(&'static str, usize)> {
        let most_addresses = self.interfaces.iter().map(|one| one.addresses.len()).max();
        [
            (
                "length of a guest's text",
                self.texts().map(String::len).max(),
                MAX_TEXT_BYTES,
            ),
            (
                "number of a guest's file systems",
                Some(self.file_systems.len()),
                MAX_FILE_SYSTEMS,
            ),
            (
                "number of a guest's interfaces",
                Some(self.interfaces.len()),
                MAX_INTERFACES,
            ),
            (
                "number of an interface's addresses",
                most_addresses,
                MAX_ADDRESSES,
            ),
            ("number of a guest's users", Some(self.users.len()), MAX_USERS),
        ]
        .into_iter()
        .find_map(|(what, found, limit)| (found.unwrap_or(0) > limit).then_some((what, limit)))
    }
}

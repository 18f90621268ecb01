//! What the system inside of a VM says of itself.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use vmscope_model::guest;

/// What the system inside of a VM last said of itself, through its guest agent: the guest's own word. Texts that it did not
/// say are empty.
#[derive(Debug, Serialize, ToSchema)]
pub struct Guest {
    /// When it said so.
    pub as_of: Timestamp,
    /// Host name.
    pub host_name: String,
    /// Operating system with version, for people.
    #[schema(example = "Debian GNU/Linux 12 (bookworm)")]
    pub os: String,
    /// Short name of the operating system.
    #[schema(example = "debian")]
    pub os_id: String,
    /// Version of the operating system.
    #[schema(example = "12 (bookworm)")]
    pub os_version: String,
    /// Kernel release.
    pub kernel: String,
    /// Abbreviation of its time zone.
    #[schema(example = "CET")]
    pub time_zone: String,
    /// Mounted file systems, 64 at most.
    pub file_systems: Vec<GuestFileSystem>,
    /// Network interfaces, 32 at most.
    pub interfaces: Vec<GuestInterface>,
    /// How many users are logged in; null when it did not say.
    #[schema(required)]
    pub user_count: Option<u32>,
    /// The first of them, each once, 32 at most.
    pub users: Vec<String>,
}

/// A file system of a guest.
#[derive(Debug, Serialize, ToSchema)]
pub struct GuestFileSystem {
    /// Where it is mounted.
    #[schema(example = "/var")]
    pub mount_point: String,
    /// Its type.
    #[serde(rename = "type")]
    #[schema(example = "ext4")]
    pub kind: String,
    /// Its size, in bytes; null when the guest did not say.
    #[schema(required)]
    pub total_bytes: Option<u64>,
    /// What is used of it, in bytes; null when the guest did not say.
    #[schema(required)]
    pub used_bytes: Option<u64>,
}

/// A network interface of a guest.
#[derive(Debug, Serialize, ToSchema)]
pub struct GuestInterface {
    /// Its name in the guest.
    #[schema(example = "eth0")]
    pub name: String,
    /// Its hardware address.
    #[schema(example = "52:54:00:98:b2:48")]
    pub hardware_address: String,
    /// Its addresses with prefix length, 16 at most.
    #[schema(example = json!(["192.0.2.11/24"]))]
    pub addresses: Vec<String>,
}

impl From<(Timestamp, guest::Guest)> for Guest {
    fn from((as_of, guest): (Timestamp, guest::Guest)) -> Self {
        Self {
            as_of,
            host_name: guest.host_name,
            os: guest.os,
            os_id: guest.os_id,
            os_version: guest.os_version,
            kernel: guest.kernel,
            time_zone: guest.time_zone,
            file_systems: guest
                .file_systems
                .into_iter()
                .map(GuestFileSystem::from)
                .collect(),
            interfaces: guest.interfaces.into_iter().map(GuestInterface::from).collect(),
            user_count: guest.user_count,
            users: guest.users,
        }
    }
}

impl From<guest::GuestFileSystem> for GuestFileSystem {
    fn from(one: guest::GuestFileSystem) -> Self {
        Self {
            mount_point: one.mount_point,
            kind: one.kind,
            total_bytes: one.total_bytes,
            used_bytes: one.used_bytes,
        }
    }
}

impl From<guest::GuestInterface> for GuestInterface {
    fn from(one: guest::GuestInterface) -> Self {
        Self {
            name: one.name,
            hardware_address: one.hardware_address,
            addresses: one.addresses,
        }
    }
}

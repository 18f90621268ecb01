//! The things that are measured and how they are named.

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};
use std::fmt;
use uuid::Uuid;

macro_rules! uuid_newtype {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }

        impl Encode for $name {
            fn encode<E: bincode::enc::Encoder>(
                &self,
                encoder: &mut E,
            ) -> Result<(), bincode::error::EncodeError> {
                self.0.as_bytes().encode(encoder)
            }
        }

        impl<C> Decode<C> for $name {
            fn decode<D: bincode::de::Decoder<Context = C>>(
                decoder: &mut D,
            ) -> Result<Self, bincode::error::DecodeError> {
                <[u8; 16]>::decode(decoder).map(|bytes| Self(Uuid::from_bytes(bytes)))
            }
        }

        impl<'de, C> bincode::BorrowDecode<'de, C> for $name {
            fn borrow_decode<D: bincode::de::BorrowDecoder<'de, Context = C>>(
                decoder: &mut D,
            ) -> Result<Self, bincode::error::DecodeError> {
                Self::decode(decoder)
            }
        }
    };
}

uuid_newtype!(
    /// A hypervisor host. Its certificate names it.
    HostId
);
uuid_newtype!(
    /// A virtual machine: the libvirt domain UUID, which is also Nova's instance UUID.
    VmId
);

/// A kind of measured thing: one catalogue, one sample table each.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A hypervisor host as a whole.
    Host,
    /// A virtual machine as a whole, with totals over its devices.
    Vm,
    /// One virtual processor of a VM, or one core of a host.
    Vcpu,
    /// One disk of a VM, one block device of a host, or one file system of a host (its name starts with `/`).
    Disk,
    /// One network interface of a VM or of a host.
    Nic,
}

impl Kind {
    /// Every kind, in wire order.
    pub const ALL: [Self; 5] = [Self::Host, Self::Vm, Self::Vcpu, Self::Disk, Self::Nic];

    /// The lower-case name used in the API, in table names and on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Vm => "vm",
            Self::Vcpu => "vcpu",
            Self::Disk => "disk",
            Self::Nic => "nic",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a device belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode)]
pub enum Owner {
    /// The host that the record comes from.
    Host,
    /// A VM on that host.
    Vm(VmId),
}

/// A measured thing, named within the host that reports it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode)]
pub enum Entity {
    /// The host itself.
    Host,
    /// One of its VMs.
    Vm(VmId),
    /// A virtual processor, or a core of the host.
    Vcpu {
        /// Whose processor.
        owner: Owner,
        /// Number, from 0.
        index: u32,
    },
    /// A disk.
    Disk {
        /// Whose disk.
        owner: Owner,
        /// Target name (`vda`), block device (`sda`) or mount point (`/var`).
        name: String,
    },
    /// A network interface.
    Nic {
        /// Whose interface.
        owner: Owner,
        /// Name on the host (`vnet3`, `eth0`).
        name: String,
    },
}

impl Entity {
    /// Which kind of thing this is.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Host => Kind::Host,
            Self::Vm(_) => Kind::Vm,
            Self::Vcpu { .. } => Kind::Vcpu,
            Self::Disk { .. } => Kind::Disk,
            Self::Nic { .. } => Kind::Nic,
        }
    }
}

//! bincode with the settings that vmscope uses everywhere, and with a limit on what a claim may allocate.

use super::Error;
use crate::wire::MAX_MESSAGE_BYTES;
use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use bincode::{Decode, Encode};

const CONFIG: Configuration<LittleEndian, Varint, Limit<MAX_MESSAGE_BYTES>> =
    bincode::config::standard().with_limit::<MAX_MESSAGE_BYTES>();

/// Appends `value` to `out`. On failure `out` may have grown.
pub(crate) fn write<T: Encode>(value: &T, out: &mut Vec<u8>) -> Result<(), Error> {
    bincode::encode_into_std_write(value, out, CONFIG)
        .map(|_| ())
        .map_err(Error::Write)
}

/// Reads a value from the front of `bytes`, with the number of bytes it took.
pub(crate) fn read<T: Decode<()>>(bytes: &[u8]) -> Result<(T, usize), Error> {
    bincode::decode_from_slice(bytes, CONFIG).map_err(Error::Read)
}

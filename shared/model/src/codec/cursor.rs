//! Reading and writing of bytes and varints.

use super::{Error, portable};
use bincode::Decode;

/// What is left to read. Every read is checked.
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next `length` bytes.
    pub(crate) fn take(&mut self, length: usize) -> Result<&'a [u8], Error> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Error::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    /// An unsigned LEB128 number.
    #[inline]
    pub(crate) fn varint(&mut self) -> Result<u64, Error> {
        match self.rest.split_first() {
            Some((&byte, rest)) if byte < 0x80 => {
                self.rest = rest;
                Ok(u64::from(byte))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, Error> {
        let mut number = 0;
        for (index, &byte) in self.rest.iter().take(10).enumerate() {
            number |= u64::from(byte & 0x7f) << (7 * index);
            if byte < 0x80 {
                if index == 9 && byte > 1 {
                    break;
                }
                self.rest = &self.rest[index + 1..];
                return Ok(number);
            }
        }
        Err(if self.rest.len() < 10 {
            Error::Truncated
        } else {
            Error::Invalid { what: "number" }
        })
    }

    /// A signed number, zigzag.
    #[inline]
    pub(crate) fn signed(&mut self) -> Result<i64, Error> {
        let folded = self.varint()?;
        Ok((folded >> 1).cast_signed() ^ -(folded & 1).cast_signed())
    }

    /// A number of things of which there may be at most `limit`.
    pub(crate) fn count(&mut self, what: &'static str, limit: usize) -> Result<usize, Error> {
        usize::try_from(self.varint()?)
            .ok()
            .filter(|&count| count <= limit)
            .ok_or(Error::TooLarge { what, limit })
    }

    /// A value written by bincode.
    pub(crate) fn portable<T: Decode<()>>(&mut self) -> Result<T, Error> {
        let (value, used) = portable::read(self.rest)?;
        self.take(used)?;
        Ok(value)
    }

    /// Refuses bytes that are left over.
    pub(crate) const fn finish(self) -> Result<(), Error> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(Error::Trailing {
                bytes: self.rest.len(),
            })
        }
    }
}

/// Appends an unsigned LEB128 number.
#[inline]
pub(crate) fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

/// Appends a signed number, zigzag.
#[inline]
pub(crate) fn put_signed(out: &mut Vec<u8>, number: i64) {
    put_varint(out, ((number << 1) ^ (number >> 63)).cast_unsigned());
}

/// Appends the number of things that follow.
pub(crate) fn put_count(out: &mut Vec<u8>, count: usize) {
    // A count never exceeds a limit of this module, far below 2^64.
    put_varint(out, u64::try_from(count).unwrap_or(u64::MAX));
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn signed_numbers_come_back(number: i64) {
            let mut bytes = Vec::new();
            put_signed(&mut bytes, number);
            let mut cursor = Cursor::new(&bytes);
            proptest::prop_assert_eq!(cursor.signed().unwrap(), number);
            proptest::prop_assert!(cursor.finish().is_ok());
        }
    }

    #[test]
    fn the_largest_number_comes_back_and_a_larger_one_is_refused() {
        let mut bytes = Vec::new();
        put_varint(&mut bytes, u64::MAX);
        assert_eq!(Cursor::new(&bytes).varint().unwrap(), u64::MAX);
        bytes[9] = 2;
        assert!(matches!(Cursor::new(&bytes).varint(), Err(Error::Invalid { .. })));
        bytes[9] = 0xff;
        assert!(matches!(Cursor::new(&bytes).varint(), Err(Error::Invalid { .. })));
        assert!(matches!(Cursor::new(&bytes[..9]).varint(), Err(Error::Truncated)));
    }
}

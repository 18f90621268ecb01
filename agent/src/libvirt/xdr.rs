//! The part of XDR (RFC 4506) that libvirt's messages use: big-endian words of four bytes.

/// Why bytes are not what they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The message ends inside of a value.
    #[error("the message ends {missing} bytes too early")]
    Short {
        /// How many bytes lack at least.
        missing: usize,
    },
    /// A text is not UTF-8.
    #[error("a text is not UTF-8")]
    Text,
    /// A flag is neither 0 nor 1.
    #[error("a flag is {value}, neither 0 nor 1")]
    Flag {
        /// What it is.
        value: u32,
    },
    /// A typed parameter has a type that libvirt does not define.
    #[error("parameter type {value} is unknown")]
    ParameterType {
        /// What it is.
        value: u32,
    },
    /// A list claims more items than the rest of the message can hold.
    #[error("a list of {claimed} items can't fit into {left} bytes")]
    List {
        /// What it claims.
        claimed: u32,
        /// What is left, in bytes.
        left: usize,
    },
}

/// Reads values from the front of a message.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader of `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Bytes not read yet.
    pub const fn left(&self) -> usize {
        self.rest.len()
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Error> {
        let (head, rest) = self.rest.split_at_checked(length).ok_or(Error::Short {
            missing: length.saturating_sub(self.rest.len()),
        })?;
        self.rest = rest;
        Ok(head)
    }

    /// The next `N` bytes, without padding.
    ///
    /// # Errors
    /// The message is too short.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(Error::Short {
            missing: N.saturating_sub(self.rest.len()),
        })?;
        self.rest = rest;
        Ok(*head)
    }

    /// An unsigned integer of four bytes.
    ///
    /// # Errors
    /// The message is too short.
    pub fn u32(&mut self) -> Result<u32, Error> {
        self.array().map(u32::from_be_bytes)
    }

    /// A signed integer of four bytes.
    ///
    /// # Errors
    /// The message is too short.
    pub fn i32(&mut self) -> Result<i32, Error> {
        self.array().map(i32::from_be_bytes)
    }

    /// An unsigned integer of eight bytes.
    ///
    /// # Errors
    /// The message is too short.
    pub fn u64(&mut self) -> Result<u64, Error> {
        self.array().map(u64::from_be_bytes)
    }

    /// A signed integer of eight bytes.
    ///
    /// # Errors
    /// The message is too short.
    pub fn i64(&mut self) -> Result<i64, Error> {
        self.array().map(i64::from_be_bytes)
    }

    /// A text: its length, its bytes, and zeros up to a multiple of four.
    ///
    /// # Errors
    /// The message is too short, or the text is not UTF-8.
    pub fn text(&mut self) -> Result<&'a str, Error> {
        let length = self.u32()? as usize;
        let bytes = self.take(length)?;
        self.take(length.next_multiple_of(4) - length)?;
        std::str::from_utf8(bytes).map_err(|_| Error::Text)
    }

    /// A text that may be missing.
    ///
    /// # Errors
    /// As for [`Reader::text`]; or the flag before it is no flag.
    pub fn optional_text(&mut self) -> Result<Option<&'a str>, Error> {
        match self.u32()? {
            0 => Ok(None),
            1 => self.text().map(Some),
            value => Err(Error::Flag { value }),
        }
    }

    /// The number of items of a list, of which each takes at least `item_bytes`.
    ///
    /// # Errors
    /// The message is too short, or can't hold so many.
    pub fn count(&mut self, item_bytes: usize) -> Result<u32, Error> {
        let claimed = self.u32()?;
        if (claimed as usize).saturating_mul(item_bytes) > self.left() {
            return Err(Error::List {
                claimed,
                left: self.left(),
            });
        }
        Ok(claimed)
    }
}

/// Appends an unsigned integer of four bytes.
pub fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// Appends a text that is there.
pub fn put_text(out: &mut Vec<u8>, text: &str) {
    // libvirt's texts end at 4 MiB, and ours are short.
    put_u32(out, u32::try_from(text.len()).unwrap_or(u32::MAX));
    out.extend_from_slice(text.as_bytes());
    out.resize(out.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn texts_are_padded_to_words() {
        let mut out = Vec::new();
        put_text(&mut out, "abcde");
        assert_eq!(out, b"\0\0\0\x05abcde\0\0\0");
        let mut reader = Reader::new(&out);
        assert_eq!(reader.text(), Ok("abcde"));
        assert_eq!(reader.left(), 0);
    }

    #[test]
    fn a_length_beyond_the_message_is_an_error() {
        assert_eq!(
            Reader::new(&[0xff; 8]).text(),
            Err(Error::Short {
                missing: 0xffff_ffff - 4
            })
        );
        assert_eq!(
            Reader::new(&[0, 0, 1, 0, 0, 0]).count(4),
            Err(Error::List {
                claimed: 256,
                left: 2
            })
        );
    }

    proptest! {
        #[test]
        fn any_text_comes_back(text in ".{0,40}", after in any::<u32>()) {
            // Padding is counted from the start of the message, where every value starts at a word.
            let mut out = Vec::new();
            put_text(&mut out, &text);
            put_u32(&mut out, after);
            let mut reader = Reader::new(&out);
            prop_assert_eq!(reader.text(), Ok(text.as_str()));
            prop_assert_eq!(reader.u32(), Ok(after));
        }
    }
}

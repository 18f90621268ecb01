//! Compression with a bound on what comes out.
//!
//! The first byte says whether the rest is stored as it is or compressed by zstd: a frame of one quiet tick gains
//! nothing from compression. One context a thread is kept, because making one costs more than a small frame.

use super::Error;
use std::cell::RefCell;
use zstd::bulk::{Compressor, Decompressor};

const STORED: u8 = 0;
const ZSTD: u8 = 1;

/// zstd's level: higher ones gain little on differences and cost the agent's host.
const LEVEL: i32 = 1;

thread_local! {
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Compresses `raw`, which may have at most `limit` bytes.
pub(crate) fn squeeze(raw: &[u8], limit: usize) -> Result<Vec<u8>, Error> {
    if raw.len() > limit {
        return Err(Error::TooLarge {
            what: "uncompressed size",
            limit,
        });
    }
    // No longer than `raw` itself: zstd fails when it can't do better, and then storing is better.
    let mut out = vec![ZSTD; raw.len() + 1];
    let room = &mut out[1..];
    let compressed = COMPRESSOR.with_borrow_mut(|kept| match kept {
        Some(compressor) => compressor.compress_to_buffer(raw, room),
        None => kept.insert(Compressor::new(LEVEL)?).compress_to_buffer(raw, room),
    });
    if let Ok(length) = compressed {
        out.truncate(length + 1);
    } else {
        out[0] = STORED;
        out[1..].copy_from_slice(raw);
    }
    Ok(out)
}

/// Gives back what [`squeeze`] was given; refuses more than `limit` bytes before it makes room for them.
pub(crate) fn unsqueeze(bytes: &[u8], limit: usize) -> Result<Vec<u8>, Error> {
    let too_large = Error::TooLarge {
        what: "uncompressed size",
        limit,
    };
    let (&method, body) = bytes.split_first().ok_or(Error::Truncated)?;
    match method {
        STORED if body.len() > limit => Err(too_large),
        STORED => Ok(body.to_vec()),
        ZSTD => {
            let size = zstd::zstd_safe::get_frame_content_size(body).ok().flatten();
            let size = size.ok_or(Error::Invalid {
                what: "compressed size",
            })?;
            let size = usize::try_from(size)
                .ok()
                .filter(|&size| size <= limit)
                .ok_or(too_large)?;
            let mut raw = Vec::with_capacity(size);
            DECOMPRESSOR
                .with_borrow_mut(|kept| match kept {
                    Some(decompressor) => decompressor.decompress_to_buffer(body, &mut raw),
                    None => kept
                        .insert(Decompressor::new()?)
                        .decompress_to_buffer(body, &mut raw),
                })
                .map_err(Error::Decompress)?;
            Ok(raw)
        }
        _ => Err(Error::Invalid {
            what: "compression method",
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_back_what_it_was_given() {
        let noise: Vec<u8> = (0..999_u32)
            .map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0])
            .collect();
        for raw in [&b""[..], b"x", b"tick", &[7; 5_000], &noise] {
            let squeezed = squeeze(raw, 10_000).unwrap();
            assert!(squeezed.len() <= raw.len() + 1);
            assert_eq!(unsqueeze(&squeezed, 10_000).unwrap(), raw);
        }
    }

    #[test]
    fn refuses_what_would_exceed_its_limit() {
        let squeezed = squeeze(&[0; 5_000], 5_000).unwrap();
        assert!(matches!(unsqueeze(&squeezed, 4_999), Err(Error::TooLarge { .. })));
        assert!(matches!(squeeze(&[0; 5_000], 4_999), Err(Error::TooLarge { .. })));
    }
}

//! What the fuzz targets do with their input; the model's tests run the corpus through the same functions.

use vmscope_model::wire::{self, Frame, FrameDecoder};
use vmscope_model::{HostId, record};

/// Bytes as a whole message. What can be read can be written, and read again.
pub fn message(bytes: &[u8]) {
    if let Ok(message) = wire::decode(bytes) {
        let again = wire::encode(&message).expect("what was read can be written");
        assert_eq!(
            wire::decode(&again).expect("what was written can be read"),
            message
        );
    }
}

/// Frames of one session, each behind its length (u16, little-endian). Rows always find their entities.
pub fn frame(mut bytes: &[u8]) {
    let mut decoder = FrameDecoder::new(&wire::columns()).expect("the build's own columns are in order");
    let host = HostId("7d2c6ad5-55d4-4f0b-9f43-c4bb5f2d4bb1".parse().expect("a UUID"));
    while let Some((length, rest)) = bytes.split_first_chunk() {
        let (body, rest) = rest.split_at(usize::from(u16::from_le_bytes(*length)).min(rest.len()));
        bytes = rest;
        let Ok(ticks) = decoder.decode(&Frame {
            host,
            body: body.to_vec(),
        }) else {
            return;
        };
        for table in ticks.iter().flat_map(|(_, tick)| &tick.tables) {
            for (entity, _) in table.rows() {
                assert_eq!(decoder.entities()[entity as usize].kind(), table.kind);
            }
        }
    }
}

/// Bytes as a stored record, and once more with the checksum put right, since no fuzzer finds that by chance.
pub fn record(bytes: &[u8]) {
    let _ = record::decode(bytes);
    let Some(body) = bytes.get(5..) else { return };
    let sealed = [&bytes[..1], &crc32fast::hash(body).to_le_bytes(), body].concat();
    if let Ok(record) = record::decode(&sealed) {
        let again = record::encode(&record).expect("what was read can be written");
        assert_eq!(
            record::decode(&again).expect("what was written can be read"),
            record
        );
    }
}

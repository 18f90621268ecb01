//! What stored records promise: they come back whole, or not at all.

use crate::support::{one_row, plain, record};
use proptest::prelude::*;
use vmscope_model::record::{self, Error};
use vmscope_model::{Entity, Value};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_record_comes_back(record in record()) {
        let back = record::decode(&record::encode(&record).unwrap()).unwrap();
        prop_assert_eq!(&back.dictionary, &record.dictionary);
        prop_assert_eq!(plain(&back.dictionary, &back.tick), plain(&record.dictionary, &record.tick));
    }

    #[test]
    fn no_bytes_make_the_decoder_panic(bytes: Vec<u8>) {
        let _ = record::decode(&bytes);
        for method in [0, 1] {
            let body = [&[method], bytes.as_slice()].concat();
            let sum = crc32fast::hash(&body).to_le_bytes();
            let _ = record::decode(&[&[1], sum.as_slice(), &body].concat());
        }
    }
}

#[test]
fn every_flipped_bit_and_every_cut_is_noticed() {
    let bytes = record::encode(&one_row(Entity::Host, 123_456_789)).unwrap();
    for index in 0..bytes.len() {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[index] ^= 1_u8 << bit;
            assert!(record::decode(&damaged).is_err(), "bit {bit} of byte {index}");
        }
        assert!(record::decode(&bytes[..index]).is_err(), "cut at {index}");
    }
    assert!(matches!(
        record::decode(&[&bytes[..], &[0]].concat()),
        Err(Error::Checksum)
    ));
}

#[test]
fn a_record_of_an_older_build_lacks_only_the_newer_columns() {
    // Version 1, stored, kinds with 2, 0, 0, 0, 0 columns; one entity (Host), time 1, no notes;
    // host: one row, entity 0, two columns that all rows have: 7 and -1.
    let body = [
        0,
        2,
        0,
        0,
        0,
        0,
        1,
        0,
        2,
        0,
        0,
        3,
        0,
        2 << 2 | 1,
        14,
        1,
        0,
        0,
        0,
        0,
    ];
    let sum = crc32fast::hash(&body).to_le_bytes();
    let record = record::decode(&[&[1], sum.as_slice(), &body].concat()).unwrap();
    assert_eq!(record.dictionary, [Entity::Host]);
    let (_, values) = record.tick.tables[0].rows().next().unwrap();
    assert_eq!(values[..3], [Value::new(7), Value::new(-1), Value::ABSENT]);
}

//! Numbers and words out of the kernel's text files, without copies.

/// The lines of `text`, without their ends; empty ones are left out.
pub(crate) fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty())
}

/// The words of `line`: what lies between blanks.
pub(crate) fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty())
}

/// A decimal number; counters beyond `i64::MAX` are capped there.
pub(crate) fn number(word: &[u8]) -> Option<i64> {
    if word.is_empty() {
        return None;
    }
    word.iter().try_fold(0i64, |sum, byte| {
        let digit = byte.is_ascii_digit().then(|| i64::from(byte - b'0'))?;
        Some(sum.saturating_mul(10).saturating_add(digit))
    })
}

/// A decimal number with a fraction (`2.37`), times 1000; further digits are cut off.
pub(crate) fn thousandths(word: &[u8]) -> Option<i64> {
    let mut parts = word.splitn(2, |&byte| byte == b'.');
    let whole = number(parts.next()?)?;
    let mut fraction = 0;
    let digits = parts.next().unwrap_or_default();
    for place in 0..3 {
        let digit = digits
            .get(place)
            .map_or(Some(0), |digit| number(std::slice::from_ref(digit)))?;
        fraction = fraction * 10 + digit;
    }
    Some(whole.saturating_mul(1000).saturating_add(fraction))
}

/// Fills `into` with the numbers that `words` go on with; says how many there were. Stops at the first other word.
pub(crate) fn numbers<'a>(words: impl Iterator<Item = &'a [u8]>, into: &mut [i64]) -> usize {
    into.iter_mut()
        .zip(words.map_while(number))
        .map(|(place, value)| *place = value)
        .count()
}

/// Splits a line at its first blank: the key (without a colon at its end) and the rest.
pub(crate) fn key(line: &[u8]) -> (&[u8], &[u8]) {
    let end = line
        .iter()
        .position(u8::is_ascii_whitespace)
        .unwrap_or(line.len());
    let (key, rest) = line.split_at(end);
    (key.strip_suffix(b":").unwrap_or(key), rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn loads_are_read_in_thousandths() {
        for (text, value) in [("2.37", 2370), ("0.05", 50), ("12", 12_000), ("1.23456", 1234)] {
            assert_eq!(thousandths(text.as_bytes()), Some(value));
        }
        assert_eq!(thousandths(b"1.x"), None);
    }

    #[test]
    fn what_is_no_number_is_none() {
        for text in ["", "-1", "0x1", "12a"] {
            assert_eq!(number(text.as_bytes()), None);
        }
        assert_eq!(number(b"99999999999999999999"), Some(i64::MAX));
    }

    proptest! {
        #[test]
        fn any_number_is_read_back(value in 0..=i64::MAX) {
            prop_assert_eq!(number(value.to_string().as_bytes()), Some(value));
        }

        #[test]
        fn any_line_can_be_split(line in proptest::collection::vec(any::<u8>(), 0..80)) {
            let (key, rest) = key(&line);
            prop_assert!(key.len() + rest.len() <= line.len());
            let mut values = [0; 4];
            prop_assert!(numbers(words(&line), &mut values) <= 4);
            thousandths(&line);
        }
    }
}

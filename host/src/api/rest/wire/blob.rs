//! Bytes in base64, measured without decoding them: a package is tens of megabytes, and it is decoded
//! once, when the request has passed its checks.

/// Length of the bytes of a base64 text: padded, and nothing left over in its last
/// character.
pub(super) fn bytes(text: &str) -> Option<usize> {
    let whole = text.as_bytes();
    let Some(last) = whole.last_chunk::<4>() else {
        return whole.is_empty().then_some(0);
    };
    let (sound, unused_bits) = match last {
        [.., b'=', b'='] => (&whole[..whole.len() - 2], 0b1111),
        [.., b'='] => (&whole[..whole.len() - 1], 0b11),
        _ => (whole, 0),
    };
    let is_clean = sound
        .last()
        .is_none_or(|byte| value(*byte) & unused_bits == 0);
    let is_sound = whole.len().is_multiple_of(4) && sound.iter().all(|byte| value(*byte) < 64);
    (is_sound && is_clean).then_some(sound.len() * 3 / 4)
}

/// Value of a character; 255 for one outside the alphabet.
const fn value(byte: u8) -> u8 {
    match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => 255,
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    use super::*;

    fn require_same(text: &str) {
        let expected = STANDARD.decode(text).ok().map(|it| it.len());
        assert_eq!(bytes(text), expected, "{text:?}");
    }

    #[test]
    fn length_is_that_of_a_decoder() {
        for text in [
            "",
            "=",
            "==",
            "===",
            "====",
            "A",
            "AA",
            "AAA",
            "AAAA",
            "AA==",
            "AB==",
            "AQ==",
            "AAA=",
            "AAB=",
            "AAE=",
            "A===",
            "AA=A",
            "=AAA",
            "AAAA=",
            "AA==AAAA",
            "AAAA AAAA",
            "AAA\n",
            "é==",
            "A-_A",
            "A+/A",
        ] {
            require_same(text);
        }
    }

    proptest! {
        #[test]
        fn length_of_any_text_is_that_of_a_decoder(
            text in "[A-Za-z0-9+/=]{0,12}",
            blob in any::<Vec<u8>>(),
        ) {
            require_same(&text);
            require_same(&STANDARD.encode(&blob));
        }
    }
}

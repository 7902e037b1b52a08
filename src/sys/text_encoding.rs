//! Text files as other systems write them: with a byte order mark, in UTF-16, in Latin-1.

use std::borrow::Cow;
use std::char::{REPLACEMENT_CHARACTER, decode_utf16};

/// A text file's content, without its byte order mark.
///
/// UTF-16 is known by its mark (PowerShell's `Out-File` writes it), or by the zero that is one half
/// of an ASCII character at the beginning. What is no UTF-8 either is Latin-1, where every byte is a
/// character: so nothing is refused, and ASCII around a strange name stays what it is.
pub(crate) fn decode(bytes: &[u8]) -> Cow<'_, str> {
    match bytes {
        [0xef, 0xbb, 0xbf, text @ ..] => utf8_or_latin1(text),
        [0xff, 0xfe, text @ ..] => utf16(text, u16::from_le_bytes),
        [0xfe, 0xff, text @ ..] => utf16(text, u16::from_be_bytes),
        [1..=0x7f, 0, ..] => utf16(bytes, u16::from_le_bytes),
        [0, 1..=0x7f, ..] => utf16(bytes, u16::from_be_bytes),
        _ => utf8_or_latin1(bytes),
    }
}

fn utf8_or_latin1(bytes: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(bytes).map_or_else(
        |_| bytes.iter().map(|byte| char::from(*byte)).collect(),
        Cow::Borrowed,
    )
}

/// A last byte without its other half is left out.
fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Cow<'_, str> {
    let (pairs, _) = bytes.as_chunks();
    decode_utf16(pairs.iter().map(|pair| unit(*pair)))
        .map(|character| character.unwrap_or(REPLACEMENT_CHARACTER))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_the_same_in_each_encoding() {
        let text = "ab  bücher.raw\r\n";
        let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        let marked = |mark: &[u8], text: &[u8]| [mark, text].concat();
        for bytes in [
            text.as_bytes().to_vec(),
            marked(b"\xef\xbb\xbf", text.as_bytes()),
            marked(b"\xff\xfe", &little),
            marked(b"\xfe\xff", &big),
            marked(b"\xff\xfe", &marked(&little, b"x")),
            little,
            big,
            b"ab  b\xfccher.raw\r\n".to_vec(),
        ] {
            assert_eq!(decode(&bytes), text, "{bytes:x?}");
        }
        assert_eq!(decode(b""), "");
        assert_eq!(decode(b"a"), "a");
        assert_eq!(decode(b"\xff\xfe\x00\xd8a\0"), "\u{fffd}a");
    }
}

//! GPT-2's alphabet: each of the 256 bytes as one printable character, in which byte-level vocabularies are written.

/// The character of a byte: itself where it is printable Latin-1, else the next one from U+0100 on.
pub fn character_of(byte: u8) -> char {
    const PRINTABLE: [std::ops::RangeInclusive<u8>; 3] = [0x21..=0x7e, 0xa1..=0xac, 0xae..=0xff];
    if PRINTABLE.iter().any(|range| range.contains(&byte)) {
        return char::from(byte);
    }
    let place = match byte {
        0..=0x20 => u32::from(byte),
        0x7f..=0xa0 => u32::from(byte) - 0x7f + 0x21,
        _ => 0x43,
    };
    char::from_u32(0x100 + place).unwrap_or(' ')
}

/// The byte of a character of the alphabet.
pub fn byte_of_character(character: char) -> Option<u8> {
    let code = u32::from(character);
    let byte = match code {
        0x100..=0x120 => code - 0x100,
        0x121..=0x142 => code - 0x121 + 0x7f,
        0x143 => 0xad,
        _ => code,
    };
    u8::try_from(byte).ok().filter(|&byte| character_of(byte) == character)
}

/// `text` in the alphabet.
pub fn written(text: &str) -> String {
    text.bytes().map(character_of).collect()
}

/// The bytes that `text`, in the alphabet, stands for; characters outside it stand for themselves.
pub fn read(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for character in text.chars() {
        match byte_of_character(character) {
            Some(byte) => out.push(byte),
            None => out.extend(character.encode_utf8(&mut [0; 4]).bytes()),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_one_printable_character_and_back() {
        let characters: std::collections::BTreeSet<char> = (0..=255).map(character_of).collect();
        assert_eq!(characters.len(), 256);
        assert!((0..=255).all(|byte| byte_of_character(character_of(byte)) == Some(byte)));
        assert!(characters.iter().all(|character| !character.is_whitespace() && !character.is_control()));
        assert_eq!((character_of(b' '), character_of(b'\n'), character_of(0xad)), ('\u{120}', '\u{10a}', '\u{143}'));
        assert_eq!(byte_of_character('\u{144}'), None);
        assert_eq!(byte_of_character(' '), None);
    }
}

//! Streaming output: the bytes of tokens come in, whole characters go out.

/// Holds back the bytes of a character that is not complete yet.
#[derive(Debug, Clone, Default)]
pub struct TextStream {
    held: Vec<u8>,
}

impl TextStream {
    /// Takes the bytes of one token, gives the text that is complete. Bytes that can begin no character become U+FFFD.
    pub fn push(&mut self, bytes: &[u8]) -> String {
        self.held.extend_from_slice(bytes);
        let mut out = String::new();
        let mut done = 0;
        for chunk in self.held.utf8_chunks() {
            out += chunk.valid();
            done += chunk.valid().len();
            // An end that is no error yet: more bytes may complete it.
            let open = done + chunk.invalid().len() == self.held.len() && can_grow(chunk.invalid());
            if !open && !chunk.invalid().is_empty() {
                out.push(char::REPLACEMENT_CHARACTER);
                done += chunk.invalid().len();
            }
        }
        self.held.drain(..done);
        out
    }

    /// What is left at the end: U+FFFD for a character that was never completed.
    pub fn finish(self) -> String {
        String::from_utf8_lossy(&self.held).into_owned()
    }
}

/// Whether `bytes` are the beginning of a character.
fn can_grow(bytes: &[u8]) -> bool {
    !bytes.is_empty() && std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_cut_of_any_bytes_gives_the_text_of_the_whole() {
        let samples: [&[u8]; 5] = [
            "aé€\u{1F469}\u{200D}\u{1F4BB}z".as_bytes(),
            b"\xf0\x9f\x91",
            b"a\xffb\xc3(\xe2\x82z",
            b"\xe2\x82\xe2\x82\xac\xf0\x9f",
            b"\xed\xa0\x80\xf4\x90\x80\x80",
        ];
        for bytes in samples {
            for width in 1..=bytes.len() {
                let mut stream = TextStream::default();
                let text: String = bytes.chunks(width).map(|chunk| stream.push(chunk)).collect();
                assert_eq!(text + &stream.finish(), String::from_utf8_lossy(bytes), "{bytes:x?} in {width}s");
            }
        }
    }

    #[test]
    fn a_character_comes_out_with_its_last_byte() {
        let mut stream = TextStream::default();
        assert_eq!("€".as_bytes().iter().map(|&byte| stream.push(&[byte])).collect::<Vec<_>>(), ["", "", "€"]);
    }
}

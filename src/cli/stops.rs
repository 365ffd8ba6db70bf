//! Stop texts in a stream. In: pieces of text. Out: what can be printed: everything before the first stop text, nothing that
//! may still become one.

/// Looks for stop texts across pieces.
pub(super) struct Stops<'s> {
    stops: &'s [String],
    held: String,
    found: bool,
}

impl<'s> Stops<'s> {
    pub fn new(stops: &'s [String]) -> Self {
        Self { stops, held: String::new(), found: false }
    }

    /// Takes a piece, gives what can be printed now.
    pub fn push(&mut self, piece: &str) -> String {
        if self.found {
            return String::new();
        }
        self.held += piece;
        let texts = || self.stops.iter().filter(|stop| !stop.is_empty());
        if let Some(at) = texts().filter_map(|stop| self.held.find(stop.as_str())).min() {
            self.found = true;
            self.held.truncate(at);
            return std::mem::take(&mut self.held);
        }
        // The longest end of the text that begins a stop text stays.
        let starts = self.held.char_indices().map(|(at, _)| at);
        let keep = starts.filter(|&at| texts().any(|stop| stop.starts_with(&self.held[at..]))).min();
        let rest = self.held.split_off(keep.unwrap_or(self.held.len()));
        std::mem::replace(&mut self.held, rest)
    }

    /// Whether a stop text came.
    pub fn found(&self) -> bool {
        self.found
    }

    /// Takes the last piece, gives all that is left.
    pub fn finish(mut self, piece: &str) -> String {
        let out = self.push(piece);
        if self.found { out } else { out + &self.held }
    }
}

#[cfg(test)]
mod tests {
    use super::Stops;

    #[test]
    fn text_ends_before_the_first_stop_however_it_is_cut() {
        let stops = ["END".to_owned(), "\n\n".to_owned()];
        for (text, expected) in [("one END two", "one "), ("a\n\nEND", "a"), ("EN\nD", "EN\nD"), ("ENEND", "EN"), ("é EN", "é EN")] {
            for width in 1..6 {
                let mut watch = Stops::new(&stops);
                let letters: Vec<char> = text.chars().collect();
                let mut out: String = letters.chunks(width).map(|piece| watch.push(&piece.iter().collect::<String>())).collect();
                assert_eq!(watch.found(), expected.len() < text.len(), "{text}");
                out += &watch.finish("");
                assert_eq!(out, expected, "{text} in {width}s");
            }
        }
    }
}

//! Tokens that are found in a text before anything else: user-defined ones always, control and unknown ones only where the
//! caller wants special tokens parsed. In: a text. Out: stretches of plain text and ids, in order.

use super::vocabulary::{Kind, Vocabulary};

/// A stretch of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fragment<'t> {
    /// Still to be tokenised.
    Text(&'t str),
    /// A special token.
    Token(u32),
}

/// The special tokens of a vocabulary, longest text first: in this order a text is searched for them.
#[derive(Debug, Clone, Default)]
pub struct Specials {
    ids: Vec<u32>,
}

impl Specials {
    /// Collects those of `vocabulary`.
    pub fn new(vocabulary: &Vocabulary) -> Self {
        let special = |&id: &u32| matches!(vocabulary.kind(id), Kind::Control | Kind::UserDefined | Kind::Unknown);
        let mut ids: Vec<u32> = vocabulary.ids().filter(special).collect();
        ids.sort_by_key(|&id| std::cmp::Reverse(vocabulary.text(id).len()));
        Self { ids }
    }

    /// Cuts `text` at its special tokens; `parse`: at control and unknown tokens too.
    pub fn split<'t>(&self, vocabulary: &Vocabulary, text: &'t str, parse: bool) -> Vec<Fragment<'t>> {
        let mut fragments = if text.is_empty() { Vec::new() } else { vec![Fragment::Text(text)] };
        for &id in &self.ids {
            let wanted = vocabulary.text(id);
            if (!parse && vocabulary.kind(id) != Kind::UserDefined) || !text.contains(wanted) {
                continue;
            }
            let mut out = Vec::with_capacity(fragments.len() + 2);
            for fragment in fragments {
                match fragment {
                    Fragment::Token(_) => out.push(fragment),
                    Fragment::Text(stretch) => {
                        for (place, between) in stretch.split(wanted).enumerate() {
                            out.extend((place > 0).then_some(Fragment::Token(id)));
                            out.extend((!between.is_empty()).then_some(Fragment::Text(between)));
                        }
                    }
                }
            }
            fragments = out;
        }
        fragments
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Fragment::{Text, Token};

    fn vocabulary(tokens: &[(&str, Kind)]) -> Vocabulary {
        let mut out = Vocabulary::default();
        tokens.iter().for_each(|(text, kind)| out.push(text, *kind).unwrap());
        out.index().unwrap();
        out
    }

    #[test]
    fn the_longest_token_is_taken_first_wherever_it_stands() {
        let vocabulary = vocabulary(&[("abc", Kind::UserDefined), ("cde", Kind::UserDefined), ("bcde", Kind::UserDefined)]);
        let specials = Specials::new(&vocabulary);
        assert_eq!(specials.split(&vocabulary, "abcde", false), [Text("a"), Token(2)]);
        assert_eq!(specials.split(&vocabulary, "xabcabc cde", false), [Text("x"), Token(0), Token(0), Text(" "), Token(1)]);
        assert_eq!(specials.split(&vocabulary, "", false), []);
    }

    #[test]
    fn control_tokens_are_text_unless_they_are_asked_for() {
        let vocabulary = vocabulary(&[("<s>", Kind::Control), ("<u>", Kind::UserDefined), ("a", Kind::Normal)]);
        let specials = Specials::new(&vocabulary);
        assert_eq!(specials.split(&vocabulary, "<s>a<u>", false), [Text("<s>a"), Token(1)]);
        assert_eq!(specials.split(&vocabulary, "<s>a<u>", true), [Token(0), Text("a"), Token(1)]);
    }
}

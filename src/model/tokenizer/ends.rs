//! Which tokens end a text: the file's own, and those known by their texts, as llama.cpp takes them.

use super::vocabulary::{Kind, Vocabulary};

/// Texts of tokens that end a turn or a text.
const ENDS: [&str; 22] = [
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<|flush|>",
    "<|calls|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "</s>",
    "<|eom_id|>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<|end_of_text|>",
    "<end_of_utterance>",
    "<eos>",
    "<turn|>",
    "<|tool_response>",
    "<\u{ff5c}end\u{2581}of\u{2581}sentence\u{ff5c}>",
    "[e~[",
];

/// Texts of the marks for completion in the middle: padding, name of the repository, border of files. They end a text too.
const MIDDLE_ENDS: [&[&str]; 3] = [
    &["<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"],
    &["<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"],
    &["<|file_sep|>"],
];

/// Texts of the other marks for completion in the middle: before, behind, middle.
const MIDDLE: [&str; 23] = [
    "<|fim_prefix|>",
    "<fim-prefix>",
    "<fim_prefix>",
    "<\u{ff5c}fim\u{2581}begin\u{ff5c}>",
    "<PRE>",
    "\u{2581}<PRE>",
    "<|code_prefix|>",
    "<|prefix|>",
    "<|fim_suffix|>",
    "<fim-suffix>",
    "<fim_suffix>",
    "<\u{ff5c}fim\u{2581}hole\u{ff5c}>",
    "<SUF>",
    "\u{2581}<SUF>",
    "<|code_suffix|>",
    "<|suffix|>",
    "<|fim_middle|>",
    "<fim-middle>",
    "<fim_middle>",
    "<\u{ff5c}fim\u{2581}end\u{ff5c}>",
    "<MID>",
    "\u{2581}<MID>",
    "<|code_middle|>",
];

/// Texts that are printed though files call them control tokens.
const PRINTED: [&str; 4] = ["<|channel|>", "<|message|>", "<|start|>", "<|constrain|>"];

/// The ids that end a text, in order; `named`: those that the file itself names. Tokens known by their texts become control
/// tokens, whatever the file calls them.
pub fn find(vocabulary: &mut Vocabulary, named: &[Option<u32>]) -> Vec<u32> {
    let mut ends: Vec<u32> = named.iter().flatten().copied().collect();
    let known = |texts: &[&str]| -> Vec<u32> { texts.iter().filter_map(|text| vocabulary.find(text)).collect() };
    let by_text = known(&ENDS);
    // Of several texts for one mark the first is the mark.
    let middle: Vec<u32> = MIDDLE_ENDS.iter().filter_map(|texts| known(texts).first().copied()).collect();
    let (others, printed) = (known(&MIDDLE), known(&PRINTED));
    by_text.iter().chain(&middle).chain(&others).for_each(|&id| vocabulary.set_kind(id, Kind::Control));
    printed.iter().for_each(|&id| vocabulary.set_kind(id, Kind::UserDefined));
    ends.extend(by_text);
    ends.extend(middle);
    ends.sort_unstable();
    ends.dedup();

    let has = |text: &str| vocabulary.find(text).is_some_and(|id| ends.contains(&id));
    // Where calls have marks of their own, <|end|> only ends a message, and where tools answer, </s> is text.
    let message_end =
        (has("<|return|>") && (has("<|call|>") || has("<|calls|>"))) || ((has("<|call|>") || has("<|calls|>")) && has("<|flush|>"));
    let tools = has("<|tool_response>");
    for (applies, text, kind) in [(message_end, "<|end|>", Kind::UserDefined), (tools, "</s>", Kind::Normal)] {
        if applies && let Some(id) = vocabulary.find(text) {
            ends.retain(|&end| end != id);
            vocabulary.set_kind(id, kind);
        }
    }
    ends
}

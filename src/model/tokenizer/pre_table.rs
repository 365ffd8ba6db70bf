//! The pre-tokenizers by the names that GGUF files have for them. Each row was compared with llama.cpp on random text
//! (`tests/data/tokenizer/README.md`).

use super::pre::Space::{LeavesLast, LeavesLastAfterLines, Whole};
use super::pre::Step;

/// Pre-tokenizers that cut alike.
#[derive(Debug)]
pub struct Family {
    /// The names in files.
    pub names: &'static [&'static str],
    /// What is done, in this order.
    pub steps: &'static [Step],
    /// Whether a piece that is a token stays whole, whatever the merges say.
    pub whole_pieces: bool,
    /// Whether prompts begin with BOS where the file does not say.
    pub adds_bos: bool,
}

/// GPT-2's pattern.
const GPT2: Step = (r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+", LeavesLast);

/// English endings, in any case.
macro_rules! endings {
    () => {
        r"(?i-u:'(?:s|t|re|ve|m|ll|d))"
    };
}

/// Words with one character before them, numbers as given, other characters with line breaks behind them, lines, space.
macro_rules! words {
    ($numbers:literal) => {
        concat!(endings!(), r"|[^\r\n\p{L}\p{N}]?\p{L}+|", $numbers, r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+")
    };
}

/// Words that are cut before an upper-case letter, with an optional end of the word.
macro_rules! cased_words {
    ($letter:literal, $ending:expr, $rest:literal) => {
        concat!(
            r"[^\r\n\p{L}\p{N}]?[",
            $letter,
            "&&[^a-z]]*[",
            $letter,
            "&&[^A-Z]]+",
            $ending,
            r"|[^\r\n\p{L}\p{N}]?[",
            $letter,
            "&&[^a-z]]+[",
            $letter,
            "&&[^A-Z]]*",
            $ending,
            $rest,
            r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+"
        )
    };
}

/// Llama 3's pattern, and that of Qwen 2 with single digits.
const LLAMA3: Step = (words!(r"\p{N}{1,3}"), LeavesLastAfterLines);
const QWEN2: Step = (words!(r"\p{N}"), LeavesLastAfterLines);

/// Chinese and Japanese as DeepSeek takes them out.
const DEEPSEEK_CJK: Step = ("[\u{4e00}-\u{9fa5}\u{3040}-\u{309f}\u{30a0}-\u{30ff}]+", Whole);
/// Chinese, everything from U+0800 on, and Korean as DeepSeek's first models take them out.
const DEEPSEEK_OLD_CJK: Step = (r"[[\u{4e00}-\u{9fa5}\u{800}-\u{4e00}\u{ac00}-\u{d7ff}]--\s]+", Whole);

/// Letters of the alphabets with cases, as DeepSeek's first models list them.
const DEEPSEEK_LETTERS: &str = concat!(
    r"\s?",
    "[",
    "A-Za-z\u{b5}\u{c0}-\u{d6}\u{d8}-\u{f6}\u{f8}-\u{1ba}\u{1bc}-\u{1bf}\u{1c4}-\u{293}\u{295}-\u{2af}\u{370}-\u{373}",
    "\u{376}\u{377}\u{37b}-\u{37d}\u{37f}\u{386}\u{388}-\u{38a}\u{38c}\u{38e}-\u{3a1}\u{3a3}-\u{3f5}\u{3f7}-\u{481}",
    "\u{48a}-\u{52f}\u{531}-\u{556}\u{10a0}-\u{10c5}\u{13a0}-\u{13f5}\u{13f8}-\u{13fd}\u{1c90}-\u{1cba}",
    "\u{1cbd}-\u{1cbf}\u{1d00}-\u{1d2b}\u{1d6b}-\u{1d77}\u{1d79}-\u{1d9a}\u{1e00}-\u{1f15}\u{1f18}-\u{1f1d}",
    "\u{1f20}-\u{1f45}\u{1f48}-\u{1f4d}\u{1f50}-\u{1f57}\u{1f59}\u{1f5b}\u{1f5d}\u{1f5f}-\u{1f7d}\u{1f80}-\u{1fb4}",
    "\u{1fb6}-\u{1fbc}\u{1fbe}\u{1fc2}-\u{1fc4}\u{1fc6}-\u{1fcc}\u{1fd0}-\u{1fd3}\u{1fd6}-\u{1fdb}\u{1fe0}-\u{1fec}",
    "\u{1ff2}-\u{1ff4}\u{1ff6}-\u{1ffc}\u{2102}\u{2107}\u{210a}-\u{2113}\u{2115}\u{2119}-\u{211d}\u{2124}\u{2126}",
    "\u{2128}\u{212a}-\u{212d}\u{212f}-\u{2134}\u{2139}\u{213c}-\u{213f}\u{2145}-\u{2149}\u{214e}\u{2183}\u{2184}",
    "\u{2c00}-\u{2c7b}\u{2c7e}-\u{2ce4}\u{2ceb}-\u{2cee}\u{2cf2}\u{2cf3}\u{a640}-\u{a66d}\u{a680}-\u{a69b}",
    "\u{a722}-\u{a76f}\u{a771}-\u{a787}\u{a78b}-\u{a78e}\u{ab70}-\u{abbf}\u{fb00}-\u{fb06}\u{fb13}-\u{fb17}",
    "\u{ff21}-\u{ff3a}\u{ff41}-\u{ff5a}\u{10400}-\u{1044f}\u{104b0}-\u{104d3}\u{104d8}-\u{104fb}\u{10c80}-\u{10cb2}",
    "\u{10cc0}-\u{10cf2}\u{118a0}-\u{118df}\u{1e900}-\u{1e943}",
    "]+"
);

const fn family(names: &'static [&'static str], steps: &'static [Step]) -> Family {
    Family { names, steps, whole_pieces: false, adds_bos: false }
}

/// Everything that is known.
pub const FAMILIES: &[Family] = &[
    family(&["default"], &[(r"[\p{P}$+<=>^~|]+", Whole), GPT2, (r"\p{N}+", Whole), ("[0-9][0-9][0-9]", Whole)]),
    Family {
        names: &["llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "jina-v5-nano"],
        steps: &[LLAMA3],
        whole_pieces: true,
        adds_bos: true,
    },
    family(&["dbrx", "smaug-bpe", "chatglm-bpe", "glm4"], &[LLAMA3]),
    family(
        &[
            "gpt-2",
            "phi-2",
            "jina-es",
            "jina-de",
            "gigachat",
            "jina-v2-es",
            "jina-v2-de",
            "a.x-4.0",
            "mellum",
            "modern-bert",
            "exaone4",
            "mpt",
            "olmo",
            "jais",
            "trillion",
            "granite-docling",
        ],
        &[GPT2],
    ),
    family(&["starcoder", "refact", "command-r", "smollm", "codeshell", "exaone", "minerva-7b", "mellum2"], &[(r"\p{N}", Whole), GPT2]),
    family(&["qwen2", "deepseek-r1-qwen", "kormo", "f2llmv2", "stablelm2", "megrez", "hunyuan", "solar-open", "grok-2"], &[QWEN2]),
    family(
        &["qwen35"],
        &[(
            concat!(endings!(), r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+"),
            LeavesLastAfterLines,
        )],
    ),
    family(
        &["deepseek-llm"],
        &[
            (r"[\r\n]", Whole),
            (DEEPSEEK_LETTERS, Whole),
            (r"\s?[[!-/:-~\u{ff01}-\u{ff0f}\u{ff1a}-\u{ff5e}\u{2018}-\u{201f}\u{3000}-\u{3002}]--\s]+", Whole),
            (r"\s+\z", Whole),
            DEEPSEEK_OLD_CJK,
            (r"\p{N}+", Whole),
        ],
    ),
    family(&["deepseek-coder"], &[(r"[\r\n]", Whole), (r"\s?\p{L}+", Whole), (r"\s?\p{P}+", Whole), DEEPSEEK_OLD_CJK, (r"\p{N}", Whole)]),
    family(
        &["deepseek-v3", "hunyuan-dense", "joyai-llm", "hy_v4"],
        &[
            (r"\p{N}{1,3}", Whole),
            DEEPSEEK_CJK,
            (
                concat!(
                    r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"##,
                    r"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+"
                ),
                LeavesLastAfterLines,
            ),
        ],
    ),
    family(&["falcon"], &[(r"[\p{P}$+<=>^~|`]+", Whole), GPT2, ("[0-9][0-9][0-9]", Whole)]),
    family(&["poro-chat", "bloom", "gpt3-finnish"], &[(BLOOM, Whole)]),
    family(&["viking"], &[(BLOOM, Whole), (r"\p{N}", Whole)]),
    Family {
        names: &["tekken"],
        steps: &[(cased_words!(r"\p{L}", "", r"|\p{N}"), LeavesLastAfterLines)],
        whole_pieces: true,
        adds_bos: true,
    },
    family(
        &["gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2"],
        &[(cased_words!(r"\p{L}", concat!(endings!(), "?"), r"|\p{N}{1,3}"), LeavesLastAfterLines)],
    ),
    Family {
        names: &["granite-embed-multi-97m"],
        steps: &[(cased_words!(r"[\p{L}\p{M}]", concat!(endings!(), "?"), r"|\p{N}{1,3}"), LeavesLastAfterLines)],
        whole_pieces: true,
        adds_bos: false,
    },
    Family {
        names: &["chameleon"],
        steps: &[
            ("<sentinel:[0-9]+>", Whole),
            ("IMGIMG[A-I]{1,4}Z", Whole),
            (r"[\t\n]|    |  ", Whole),
            (r"\p{N}", Whole),
            (r"[\p{P}!-/:-@\[-`{-~]", Whole),
            GPT2,
        ],
        whole_pieces: false,
        adds_bos: true,
    },
    family(
        &["bailingmoe", "bailingmoe2", "llada-moe"],
        &[(concat!(endings!(), r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]|\s+"), LeavesLastAfterLines)],
    ),
    family(
        &["seed-coder"],
        &[(concat!(endings!(), r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+"), LeavesLastAfterLines)],
    ),
    family(
        &["exaone-moe"],
        &[(
            concat!(endings!(), r"|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+"),
            LeavesLastAfterLines,
        )],
    ),
];

/// Bloom's words.
const BLOOM: &str = r" ?[^(\s|.,!?\u{2026}\u{3002}\u{ff0c}\u{3001}\u{964}\u{6d4}\u{60c})]+";

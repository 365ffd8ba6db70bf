//! The hand-written leaf modules, and which module instantiates which (read from the text itself).

use crate::generate::packages;
use std::borrow::Cow;

macro_rules! leaves {
    ($($stem:literal)*) => {
        &[$(Leaf { stem: $stem, text: include_str!(concat!("../verilog/", $stem, ".sv")) }),*]
    };
}

/// A leaf module: `stem` is its module name and its file stem.
#[derive(Clone, Copy, Debug)]
pub struct Leaf {
    pub stem: &'static str,
    pub text: &'static str,
}

/// All leaf modules.
pub const LEAVES: &[Leaf] = leaves! {
    "skid"
    "softmax"
    "attn_out"
    "attn_recip"
    "attn"
    "attn_lane"
    "attn_tree"
    "attn_acc"
    "attn_head"
    "attn_leave"
    "attn_query"
    "attn_score"
    "word_mux"
    "softmax_lane"
    "fifo"
    "ram_sdp"
    "rhe_div"
    "headq"
    "kv_pages"
    "kvread"
    "kvwrite"
    "rope"
    "scale_mul"
    "scale_norm"
    "ctrl"
    "regs"
    "unpack"
    "tmac"
    "norm_product"
    "norm_scale"
    "norm_stats"
    "norm"
    "resid"
    "xload"
    "xstore"
    "route"
    "axi_burst"
    "axi_first_error"
    "axi_read_port"
    "axi_read"
    "axi_write_port"
    "axi_write"
};

/// A source file that is generated from the contract (a ROM, a package of constants): its module or package name and text.
pub struct Generated {
    pub stem: &'static str,
    pub text: fn() -> String,
}

/// All generated sources that leaf modules use.
pub const GENERATED: &[Generated] = &[
    Generated { stem: "regmap_pkg", text: packages::regmap },
    Generated { stem: "descriptor_pkg", text: packages::descriptor },
    Generated { stem: "stream_pkg", text: packages::stream },
];

/// The text of a leaf or generated module.
pub fn source(stem: &str) -> Option<Cow<'static, str>> {
    let leaf = LEAVES.iter().find(|l| l.stem == stem);
    leaf.map(|l| Cow::Borrowed(l.text)).or_else(|| {
        let generated = GENERATED.iter().find(|g| g.stem == stem)?;
        Some(Cow::Owned((generated.text)()))
    })
}

/// Every name in [`LEAVES`] and [`GENERATED`].
pub fn stems() -> impl Iterator<Item = &'static str> {
    let leaves = LEAVES.iter().map(|l| l.stem);
    leaves.chain(GENERATED.iter().map(|g| g.stem))
}

/// Modules and packages of this crate that `text` names outside comments: `name #(`, `name u_…` or `name::`.
pub fn used_by(text: &str) -> Vec<&'static str> {
    let code: String = text.lines().map(|l| l.split("//").next().unwrap_or_default()).fold(String::new(), |all, l| all + l + "\n");
    stems().filter(|stem| mentions(&code, stem)).collect()
}

fn mentions(code: &str, stem: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '$';
    code.match_indices(stem).any(|(at, _)| {
        let before = code[..at].trim_end();
        let rest = &code[at + stem.len()..];
        let whole = !code[..at].ends_with(word) && !rest.starts_with(word);
        let after = rest.trim_start();
        whole
            && !before.ends_with("module")
            && (after.starts_with("#(") || after.starts_with("# (") || after.starts_with("::") || after.starts_with("u_"))
    })
}

/// `stem` and everything it needs, users after what they use; `None` when there is no such module.
pub fn with_dependencies(stem: &str) -> Option<Vec<(&'static str, Cow<'static, str>)>> {
    let known = stems().find(|s| *s == stem)?;
    let mut done = Vec::new();
    visit(known, &mut Vec::new(), &mut done)?;
    Some(done)
}

fn visit(stem: &'static str, path: &mut Vec<&'static str>, done: &mut Vec<(&'static str, Cow<'static, str>)>) -> Option<()> {
    if path.contains(&stem) || done.iter().any(|(s, _)| *s == stem) {
        return Some(());
    }
    let text = source(stem)?;
    path.push(stem);
    for used in used_by(&text) {
        visit(used, path, done)?;
    }
    path.pop();
    done.push((stem, text));
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_are_instantiations_and_not_comments_or_prefixes() {
        let text = "module fifo_pair;\n// skid #(\n fifo #(.W(3)) u_a();\n ram_sdp u_ram();\n skidding #( ) x();\n";
        assert_eq!(used_by(text), ["fifo", "ram_sdp"]);
        assert!(used_by("module fifo #(parameter int W = 8)").is_empty());
    }

    #[test]
    fn every_leaf_declares_its_stem_and_comes_after_its_dependencies() {
        for leaf in LEAVES {
            assert!(leaf.text.contains(&format!("\nmodule {} ", leaf.stem)), "{}", leaf.stem);
            let order = with_dependencies(leaf.stem).unwrap();
            assert_eq!(order.last().unwrap().0, leaf.stem);
        }
        assert!(with_dependencies("nothing").is_none());
    }
}

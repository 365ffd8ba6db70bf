//! What a tensor is to a conversion. In: its directory entry. Out: [`Role`], by name and dimensions as llama.cpp's quantiser chooses them, whatever
//! the architecture.

use crate::model::gguf::TensorInfo;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// A linear weight of a layer (or those of all experts).
    Linear,
    /// Another matrix: the embedding, the head.
    Table,
    /// A norm, a bias, a router: stays F32.
    Plain,
}

pub(super) fn role(tensor: &TensorInfo<'_>) -> Role {
    let name = tensor.name;
    let matrix = tensor.sizes[1..].iter().any(|&size| size > 1);
    if !matrix || !name.ends_with(".weight") || name.ends_with("_norm.weight") || name.ends_with("ffn_gate_inp.weight") {
        Role::Plain
    } else if name.starts_with("blk.") {
        Role::Linear
    } else {
        Role::Table
    }
}

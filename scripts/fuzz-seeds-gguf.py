#!/usr/bin/env python3
"""Makes fuzz/corpus/gguf: Llama models of a few kilobytes whose weights have every stored type.

    python3 -m venv V && V/bin/pip install gguf==0.19 libgguf==0.2.2 && V/bin/python scripts/fuzz-seeds-gguf.py fuzz/corpus/gguf
"""

import sys
from pathlib import Path

import libgguf
import numpy as np
from gguf import GGMLQuantizationType as Type
from gguf import GGUFWriter

rng = np.random.default_rng(1)


def tensor(writer, name, shape, kind):
    weights = rng.normal(size=shape).astype(np.float32)
    if kind == "F32":
        writer.add_tensor(name, weights)
    else:
        stored = np.asarray(libgguf.quantize_rows(weights, Type[kind])).view(np.uint8)
        writer.add_tensor(name, stored.reshape(*shape[:-1], -1), raw_dtype=Type[kind])


def model(path, architecture, dim, kinds, experts=0, scaling=None):
    """One layer, one head of 2 elements, 2 hidden units; rows of `dim` take the kinds in turn."""
    writer = GGUFWriter(path, architecture)
    for key, value in {
        "block_count": 1, "embedding_length": dim, "feed_forward_length": 2, "context_length": 8, "attention.head_count": 1,
        "attention.key_length": 2, "attention.value_length": 2, "rope.dimension_count": 2,
    }.items():
        writer.add_uint32(f"{architecture}.{key}", value)
    writer.add_float32(f"{architecture}.attention.layer_norm_rms_epsilon", 1e-5)
    if experts:
        writer.add_uint32(f"{architecture}.expert_count", experts)
        writer.add_uint32(f"{architecture}.expert_used_count", 2)
    if scaling:
        writer.add_string(f"{architecture}.rope.scaling.type", scaling)
        writer.add_float32(f"{architecture}.rope.scaling.factor", 4.0)
    kinds = iter(kinds * 9)
    tensor(writer, "token_embd.weight", (4, dim), next(kinds))
    tensor(writer, "output_norm.weight", (dim,), "F32")
    for name in ("attn_norm", "ffn_norm"):
        tensor(writer, f"blk.0.{name}.weight", (dim,), "F32")
    for name in ("attn_q", "attn_k", "attn_v"):
        tensor(writer, f"blk.0.{name}.weight", (2, dim), next(kinds))
    tensor(writer, "blk.0.attn_output.weight", (dim, 2), "F32")
    if architecture == "bitnet":
        tensor(writer, "blk.0.attn_sub_norm.weight", (2,), "F32")
        tensor(writer, "blk.0.ffn_sub_norm.weight", (2,), "F32")
    if experts:
        tensor(writer, "blk.0.ffn_gate_inp.weight", (experts, dim), "F32")
        tensor(writer, "blk.0.ffn_gate_exps.weight", (experts, 2, dim), next(kinds))
        tensor(writer, "blk.0.ffn_up_exps.weight", (experts, 2, dim), next(kinds))
        tensor(writer, "blk.0.ffn_down_exps.weight", (experts, dim, 2), "F32")
    else:
        tensor(writer, "blk.0.ffn_gate.weight", (2, dim), next(kinds))
        tensor(writer, "blk.0.ffn_up.weight", (2, dim), next(kinds))
        tensor(writer, "blk.0.ffn_down.weight", (dim, 2), "F32")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


folder = Path(sys.argv[1])
model(folder / "llama-32.gguf", "llama", 32, ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "BF16"], scaling="yarn")
model(folder / "llama-k.gguf", "llama", 256, ["Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K"], scaling="linear")
model(folder / "mixture.gguf", "llama", 32, ["Q8_0", "F16"], experts=3)
model(folder / "bitnet.gguf", "bitnet", 256, ["TQ2_0", "TQ1_0"])

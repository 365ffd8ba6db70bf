#!/usr/bin/env python3
"""Makes the models on which quantised products are compared with llama.cpp's, from files that are at hand.

    python3 -m venv V && V/bin/pip install gguf==0.19 libgguf==0.2.2
    V/bin/python scripts/llama-models.py kquants stories260K.gguf OUT   # OUT/stories260K-256.TYPE.gguf, every 2-D weight of TYPE
    V/bin/python scripts/llama-models.py bitnet models/stories3m.tq1_0.gguf OUT/bitnet.tq1_0.gguf
    V/bin/python scripts/llama-models.py variants stories260K.gguf stories260K-moe4x.gguf OUT  # OUT/stories260K-VARIANT.gguf

kquants: the K types need rows of 256, so the dimension is padded with zeros from 64 to 256, the feed-forward network from 172
to 256, heads from 8/4 to 32/16 of the same size. That is exact: the mean square becomes a quarter, so norm weights are halved
and the epsilon is quartered. bitnet: the embedded model's tensors under llama.cpp's own architecture of that name. variants:
one thing of the graph in each, with weights changed where trained ones would hide it.
"""

import sys
from pathlib import Path

import libgguf
import numpy as np
from gguf import GGMLQuantizationType as Type
from gguf import GGUFReader, GGUFValueType, GGUFWriter

KINDS = ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "TQ1_0", "TQ2_0", "BF16", "F16"]
WIDTHS = {64: 256, 172: 256, 32: 128}


def copy_metadata(reader, writer, changes, rename=lambda key: key):
    for key, field in reader.fields.items():
        if key.startswith("GGUF.") or key == "general.architecture":
            continue
        value = changes.get(key, field.contents())
        element = field.types[1] if field.types[0] == GGUFValueType.ARRAY else None
        writer.add_key_value(rename(key), value, field.types[0], sub_type=element)


def padded(name, weights):
    """Zeros to the new sizes; rows of the vocabulary stay."""
    out = weights
    for axis in range(weights.ndim):
        size = out.shape[axis]
        grow = 0 if size == 512 else WIDTHS[size] - size
        out = np.pad(out, [(0, grow if a == axis else 0) for a in range(weights.ndim)])
    return out / 2 if weights.ndim == 1 else out


def kquants(source, folder):
    reader = GGUFReader(source)
    for kind in KINDS:
        path = Path(folder) / f"stories260K-256.{kind}.gguf"
        writer = GGUFWriter(path, "llama")
        epsilon = reader.fields["llama.attention.layer_norm_rms_epsilon"].contents()
        copy_metadata(reader, writer, {
            "llama.embedding_length": 256, "llama.feed_forward_length": 256,
            "llama.attention.head_count": 32, "llama.attention.head_count_kv": 16,
            "llama.attention.layer_norm_rms_epsilon": epsilon / 4,
        })
        for tensor in reader.tensors:
            weights = padded(tensor.name, np.array(tensor.data, dtype=np.float32).reshape(tensor.shape[::-1]))
            if weights.ndim == 1:
                writer.add_tensor(tensor.name, weights.astype(np.float32))
            else:
                stored = libgguf.quantize_rows(np.ascontiguousarray(weights, dtype=np.float32), Type[kind])
                writer.add_tensor(tensor.name, np.asarray(stored).view(np.uint8).reshape(weights.shape[0], -1), raw_dtype=Type[kind])
        write(writer)


def bitnet(source, path):
    reader = GGUFReader(source)
    writer = GGUFWriter(path, "bitnet")
    copy_metadata(reader, writer, {}, lambda key: key.replace("bitnet-b1.58.", "bitnet."))
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, np.array(tensor.data), raw_dtype=tensor.tensor_type)
    write(writer)


def spread(size, seed):
    """Numbers in -1 to 1, the same everywhere."""
    bits = (np.arange(size, dtype=np.uint64) + np.uint64(seed * size)) * np.uint64(2654435761) % np.uint64(1 << 32)
    return bits.astype(np.float64) / (1 << 31) - 1


def changed(name, weights, by, seed):
    """Weights of a tensor, each moved by at most `by` of itself."""
    return (weights * (1 + by * spread(weights.size, seed + len(name)).reshape(weights.shape))).astype(np.float32)


def biased(tensors):
    rows = {name: weights.shape[0] for name, weights in tensors.items() if weights.ndim == 2 and name.startswith("blk.")}
    return tensors | {
        name.replace(".weight", ".bias"): (0.1 * spread(size, seed)).astype(np.float32) for seed, (name, size) in enumerate(rows.items())
    }


def unequal_experts(tensors):
    """Of four equal experts any two give the same sum: only other weights show which ones the router takes."""
    return {
        name: changed(name, weights, 0.5, 3) if "_exps" in name
        else (2 * spread(weights.size, len(name))).reshape(weights.shape).astype(np.float32) if "ffn_gate_inp" in name
        else weights
        for name, weights in tensors.items()
    }


def one_kv_head(tensors):
    return {name: weights[:8] if "attn_k." in name or "attn_v." in name else weights for name, weights in tensors.items()}


def plus(**new):
    arrays = {name.replace("__", "."): np.array(values, dtype=np.float32) for name, values in new.items()}
    return lambda tensors: tensors | arrays


def variants(source, mixture, folder):
    """Name: file, metadata that are replaced, metadata that are added, tensors."""
    scaling = "llama.rope.scaling."
    yarn = {scaling + "type": "yarn", scaling + "factor": 4.0, scaling + "original_context_length": 64}
    longrope = {scaling + "type": "longrope", scaling + "attn_factor": 1.25}
    # Divisors of the angles for contexts beyond the original one (64) and up to it (4096): the file's own context is 2048.
    lists = plus(rope_factors_long__weight=[1.0, 1.75, 2.5, 3.25], rope_factors_short__weight=[1.5, 1.0, 1.0, 2.0])
    same = plus()
    models = {
        "linear": (source, {}, {scaling + "type": "linear", scaling + "factor": 3.0}, same),
        "linear-old": (source, {}, {"llama.rope.scale_linear": 3.0}, same),
        "yarn": (source, {}, yarn, same),
        # llama.cpp takes no notice of these in architecture llama.
        "yarn-betas": (source, {}, yarn | {
            scaling + "yarn_beta_fast": 16.0, scaling + "yarn_beta_slow": 2.0, scaling + "yarn_ext_factor": 0.5,
            "llama.attention.scale": 0.25,
        }, same),
        "yarn-attn": (source, {}, yarn | {scaling + "attn_factor": 1.2}, same),
        "longrope-64": (source, {}, longrope | {scaling + "original_context_length": 64}, lists),
        "longrope-4096": (source, {}, longrope | {scaling + "original_context_length": 4096}, lists),
        "freqs": (source, {}, {"llama.rope.freq_base": 500.0}, plus(rope_freqs__weight=[1.0, 1.5, 2.0, 4.0])),
        "tied": (source, {}, {}, lambda tensors: {name: weights for name, weights in tensors.items() if name != "output.weight"}),
        "own-head": (source, {}, {}, lambda tensors: tensors | {"output.weight": changed("output", tensors["output.weight"], 0.2, 1)}),
        "biases": (source, {}, {}, biased),
        "one-kv-head": (source, {"llama.attention.head_count_kv": 1}, {}, one_kv_head),
        "experts-2": (mixture, {}, {}, unequal_experts),
        "experts-3": (mixture, {"llama.expert_used_count": 3}, {}, unequal_experts),
    }
    for name, (path, changes, added, change) in models.items():
        reader = GGUFReader(path)
        writer = GGUFWriter(Path(folder) / f"stories260K-{name}.gguf", "llama")
        copy_metadata(reader, writer, changes)
        for key, value in added.items():
            {str: writer.add_string, int: writer.add_uint32, float: writer.add_float32}[type(value)](key, value)
        for tensor, weights in change({tensor.name: np.array(tensor.data) for tensor in reader.tensors}).items():
            writer.add_tensor(tensor, np.ascontiguousarray(weights))
        write(writer)


def write(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    {"kquants": kquants, "bitnet": bitnet, "variants": variants}[sys.argv[1]](*sys.argv[2:])

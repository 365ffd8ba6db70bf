#!/usr/bin/env python3
"""Makes the models on which quantised products are compared with llama.cpp's, from files that are at hand.

    python3 -m venv V && V/bin/pip install gguf==0.19 libgguf==0.2.2
    V/bin/python scripts/llama-models.py kquants stories260K.gguf OUT   # OUT/stories260K-256.TYPE.gguf, every 2-D weight of TYPE
    V/bin/python scripts/llama-models.py bitnet models/stories3m.tq1_0.gguf OUT/bitnet.tq1_0.gguf
    V/bin/python scripts/llama-models.py longrope stories260K.gguf OUT  # OUT/stories260K-longrope-64.gguf and -4096

kquants: the K types need rows of 256, so the dimension is padded with zeros from 64 to 256, the feed-forward network from 172
to 256, heads from 8/4 to 32/16 of the same size. That is exact: the mean square becomes a quarter, so norm weights are halved
and the epsilon is quartered. bitnet: the embedded model's tensors under llama.cpp's own architecture of that name.
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


def longrope(source, folder):
    """Divisors of the angles for contexts beyond the original one (64) and up to it (4096): the file's own context is 2048."""
    for original in (64, 4096):
        reader = GGUFReader(source)
        writer = GGUFWriter(Path(folder) / f"stories260K-longrope-{original}.gguf", "llama")
        copy_metadata(reader, writer, {})
        writer.add_string("llama.rope.scaling.type", "longrope")
        writer.add_uint32("llama.rope.scaling.original_context_length", original)
        writer.add_float32("llama.rope.scaling.attn_factor", 1.25)
        for tensor in reader.tensors:
            writer.add_tensor(tensor.name, np.array(tensor.data), raw_dtype=tensor.tensor_type)
        writer.add_tensor("rope_factors_long.weight", np.array([1.0, 1.75, 2.5, 3.25], dtype=np.float32))
        writer.add_tensor("rope_factors_short.weight", np.array([1.5, 1.0, 1.0, 2.0], dtype=np.float32))
        write(writer)


def write(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    {"kquants": kquants, "bitnet": bitnet, "longrope": longrope}[sys.argv[1]](sys.argv[2], sys.argv[3])

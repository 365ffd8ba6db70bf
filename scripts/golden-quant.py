#!/usr/bin/env python3
"""Makes tests/golden/quant.txt: what PyPI `gguf` 0.19 gives for seeded random blocks of every type that it knows.

    python3 -m venv V && V/bin/pip install gguf==0.19 && V/bin/python scripts/golden-quant.py > tests/golden/quant.txt

A line: type, blocks, CRC32 of the values as little-endian f32, the first eight values as f32 bits. The bytes are those of
splitmix64 (seed: the type's number), low byte first; then bit 14 of every f16 is cleared, so that no scale is inf or NaN.
"""

import sys
import zlib

import numpy as np
from gguf import quants
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

BLOCKS = 64
# Where the f16 of a block stand (for the floats: a block of 256 elements, every element).
HALVES = {
    "F32": [], "F16": list(range(0, 512, 2)), "BF16": [],
    "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0],
    "Q2_K": [80, 82], "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208], "TQ1_0": [52], "TQ2_0": [64],
}


def splitmix64(seed, count):
    mask = (1 << 64) - 1
    out = bytearray()
    state = seed
    for _ in range((count + 7) // 8):
        state = (state + 0x9E3779B97F4A7C15) & mask
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        out += (z ^ (z >> 31)).to_bytes(8, "little")
    return out[:count]


for name, halves in HALVES.items():
    kind = GGMLQuantizationType[name]
    elements, size = GGML_QUANT_SIZES[kind]
    if elements == 1:
        size *= 256
    data = splitmix64(kind.value, BLOCKS * size)
    for block in range(BLOCKS):
        for at in halves:
            data[block * size + at + 1] &= 0xBF
        if name in ("F32", "BF16"):
            # The exponent's second bit: no inf, no NaN.
            for at in range(size // (4 if name == "F32" else 2)):
                data[block * size + (at + 1) * (4 if name == "F32" else 2) - 1] &= 0xBF
    dtype = {"F32": np.float32, "F16": np.float16}.get(name, np.uint8)
    stored = np.frombuffer(bytes(data), dtype=dtype)
    values = quants.dequantize(stored.reshape(1, -1), kind).astype("<f4").reshape(-1)
    bits = " ".join(f"{v:08x}" for v in values[:8].view("<u4"))
    sys.stdout.write(f"{name} {BLOCKS} {zlib.crc32(values.tobytes()):08x} {bits}\n")

#!/usr/bin/env python3
"""Makes tests/golden/encode.txt: the stored bytes that PyPI `gguf` 0.19 and `libgguf` 0.2.2 make of seeded numbers, every type that they quantise.

    python3 -m venv V && V/bin/pip install gguf==0.19 libgguf==0.2.2 && V/bin/python scripts/golden-encode.py > tests/golden/encode.txt

A line: type, values, CRC32 of the stored bytes, the first eight of them in hex, who made them. Where both do, they must agree. The values (`values`)
come from splitmix64; the tests make the same ones. Half of them are shaped like weights (sums of four uniform ones), the rest are cases: zeros,
one value alone, equal values, positive ones, ternary ones, halves of steps, magnitudes down to the least that f16 scales can express.
"""

import sys
import zlib

import libgguf
import numpy as np
from gguf import quants
from gguf.constants import GGMLQuantizationType

BLOCKS = 256
KINDS = ["F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "TQ1_0", "TQ2_0"]
PYTHON = {"F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "TQ1_0", "TQ2_0"}


def words(seed, count):
    """16-bit words of splitmix64, low ones first, signed."""
    mask = (1 << 64) - 1
    out = bytearray()
    state = seed
    while len(out) < 2 * count:
        state = (state + 0x9E3779B97F4A7C15) & mask
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        out += (z ^ (z >> 31)).to_bytes(8, "little")
    return np.frombuffer(bytes(out[: 2 * count]), dtype="<i2").astype(np.float32)


def values():
    """BLOCKS blocks of 256; every step is exact in f32."""
    raw = words(2026, 4 * 256 * BLOCKS).reshape(BLOCKS, 256, 4)
    weights = raw.sum(axis=-1, dtype=np.float32) / np.float32(1 << 20)
    uniform = raw[..., 0] / np.float32(1 << 15)
    out = np.empty((BLOCKS, 256), dtype=np.float32)
    for block in range(BLOCKS):
        x, u = weights[block], uniform[block]
        case = block % 16
        scale = np.float32(2.0 ** (block // 16 - 8))
        if case < 8:
            x = x * scale
        elif case == 8:
            x = np.zeros(256, dtype=np.float32)
        elif case == 9:
            x = np.where(np.arange(256) == block % 256, scale, np.float32(0))
        elif case == 10:
            x = np.full(256, scale * u[0], dtype=np.float32)
        elif case == 11:
            x = abs(u) * scale
        elif case == 12:
            x = np.trunc(u * np.float32(1.5)) * scale
        elif case == 13:
            x = np.trunc(u * np.float32(32)) * np.float32(0.5) * scale
        elif case == 14:
            x = x * np.where(np.arange(256) // 16 % 2 == 0, scale, np.float32(2.0**-20))
        else:
            x = u * np.float32(2.0 ** -(8 + block // 16))
        out[block] = x
    return out.reshape(-1, 1024)


rows = values()
for name in KINDS:
    kind = GGMLQuantizationType[name]
    stored = {"libgguf": np.asarray(libgguf.quantize_rows(rows, kind)).view(np.uint8).tobytes()}
    if name in PYTHON:
        stored["gguf"] = quants.quantize(rows, kind).view(np.uint8).tobytes()
    if len(set(stored.values())) > 1:
        a, b = (np.frombuffer(s, dtype=np.uint8) for s in stored.values())
        at = np.flatnonzero(a != b)
        print(f"{name}: libgguf and gguf differ in {len(at)} of {len(a)} bytes, first at {at[0]}", file=sys.stderr)
    makers = "+".join(sorted(stored))
    data = stored.get("gguf", stored["libgguf"])
    sys.stdout.write(f"{name} {rows.size} {zlib.crc32(data):08x} {data[:8].hex()} {makers}\n")

#!/usr/bin/env python3
"""Writes a trace (docs/trace.md) of llama.cpp through its eval callback: python scripts/trace-llamacpp.py m.gguf --tokens 1,403 --out l.safetensors

llama.cpp is called through its C interface in a shared library: --library, a libllama.so of your own or, without it, PyPI xllamacpp's extension
module, which exports that interface. Flash attention is off (it never holds scores), one thread, all tokens in one pass, all logits. What
the callback names is mapped:

    attn_norm-3 Qcur-3 Kcur-3 Vcur-3 kq-3 kq_soft_max-3 kqv_out-3 attn_sub_norm-3 attn_o_out-3 ffn_inp-3 ffn_norm-3 ffn_gate-3 ffn_up-3
    (ffn_gate_b-3 ffn_up_b-3) ffn_swiglu-3 (ffn_gate_par-3) ffn_sub_norm-3 ffn_out-3 l_out-3 result_norm result_output

Qcur and Kcur are q and k before the rotation and, where the operation is ROPE, q_rope and k_rope. kq comes before its scale: it is multiplied
by 1/sqrt(head size) here.

With --npy FOLDER nothing is run: files NAME.npy there, dumped by a callback of your own under the same names (Qcur_rope-3 and Kcur_rope-3 for the
rotated ones; slowest axis first, as numpy prints ne reversed), are put into a trace. --heads, --kv-heads are needed then.

Needs numpy, safetensors.
"""

import argparse
import ctypes
import importlib.util
import pathlib
import re
import struct
import sys

import numpy as np
from safetensors.numpy import save_file

NAMES = {
    "attn_norm": "attn_norm",
    "Qcur": "q",
    "Kcur": "k",
    "Vcur": "v",
    "Qcur_rope": "q_rope",
    "Kcur_rope": "k_rope",
    "kq": "kq",
    "kq_soft_max": "kq_soft",
    "kqv_out": "kqv",
    "attn_sub_norm": "attn_sub_norm",
    "attn_o_out": "attn_out",
    "attn_out": "attn_out",
    "ffn_inp": "attn_resid",
    "ffn_norm": "ffn_norm",
    "ffn_gate": "ffn_gate",
    "ffn_up": "ffn_up",
    # What they are with a bias; the callback sees them later.
    "ffn_gate_b": "ffn_gate",
    "ffn_up_b": "ffn_up",
    "ffn_gate_par": "ffn_act",
    "ffn_swiglu": "ffn_act",
    "ffn_sub_norm": "ffn_sub_norm",
    "ffn_out": "ffn_out",
    "ffn_moe_out": "ffn_out",
    "l_out": "l_out",
}
ENDS = {"inp_embd": "inp_embd", "embd": "inp_embd", "result_norm": "result_norm", "result_output": "result_output"}

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("model", help="GGUF")
parser.add_argument("--tokens", required=True, help="ids, comma-separated")
parser.add_argument("--library", help="libllama.so")
parser.add_argument("--npy", help="folder of NAME.npy instead of a run")
parser.add_argument("--heads", type=int, help="with --npy")
parser.add_argument("--kv-heads", type=int, help="with --npy")
parser.add_argument("--names", action="store_true", help="print every name that the callback sees")
parser.add_argument("--out", required=True)
args = parser.parse_args()
ids = [int(id) for id in args.tokens.split(",")]


class Blob(ctypes.Structure):
    """A parameter struct whose fields are found in its default values: larger than any version's."""

    _fields_ = [("bytes", ctypes.c_uint8 * 1024)]


class Batch(ctypes.Structure):
    _fields_ = [("n_tokens", ctypes.c_int32)] + [(name, ctypes.c_void_p) for name in ["token", "embd", "pos", "n_seq_id", "seq_id", "logits"]]


CALLBACK = ctypes.CFUNCTYPE(ctypes.c_bool, ctypes.c_void_p, ctypes.c_bool, ctypes.c_void_p)


def library():
    if args.library:
        return args.library, args.library
    found = importlib.util.find_spec("xllamacpp")
    if found is None:
        sys.exit("give --library, or install PyPI xllamacpp")
    from importlib.metadata import version

    path = next(pathlib.Path(found.origin).parent.glob("xllamacpp*.so"))
    return str(path), f"xllamacpp {version('xllamacpp')}"


def from_callback():
    path, runtime = library()
    lib = ctypes.CDLL(path)
    for name, result, arguments in [
        ("llama_model_default_params", Blob, []),
        ("llama_context_default_params", Blob, []),
        ("llama_model_load_from_file", ctypes.c_void_p, [ctypes.c_char_p, Blob]),
        ("llama_init_from_model", ctypes.c_void_p, [ctypes.c_void_p, Blob]),
        ("llama_decode", ctypes.c_int32, [ctypes.c_void_p, Batch]),
        ("llama_model_n_head", ctypes.c_int32, [ctypes.c_void_p]),
        ("llama_model_n_head_kv", ctypes.c_int32, [ctypes.c_void_p]),
        ("ggml_get_name", ctypes.c_char_p, [ctypes.c_void_p]),
        ("ggml_op_desc", ctypes.c_char_p, [ctypes.c_void_p]),
        ("ggml_nbytes", ctypes.c_size_t, [ctypes.c_void_p]),
        ("ggml_backend_tensor_get", None, [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t]),
    ]:
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    lib.llama_backend_init()
    seen = {}

    def see(tensor, ask, _):
        name = lib.ggml_get_name(tensor).decode()
        stem, _, layer = name.rpartition("-")
        known = name in ENDS or stem in NAMES and layer.isdigit()
        if ask:
            return known or args.names
        if args.names:
            print(name, lib.ggml_op_desc(tensor).decode())
        if not known:
            return True
        # type, buffer, ne[4], nb[4] begin struct ggml_tensor.
        head = struct.unpack("<i4x8x4q4Q", ctypes.string_at(tensor, 80))
        kind, ne, nb = head[0], head[1:5], head[5:9]
        if kind not in (0, 1):
            return True
        size = lib.ggml_nbytes(tensor)
        bytes = (ctypes.c_uint8 * size)()
        lib.ggml_backend_tensor_get(tensor, bytes, 0, size)
        dtype = [np.float32, np.float16][kind]
        flat = np.frombuffer(bytes, dtype=dtype)
        value = np.lib.stride_tricks.as_strided(flat, ne[::-1], nb[::-1])
        if lib.ggml_op_desc(tensor) == b"ROPE" and stem in ("Qcur", "Kcur"):
            name = f"{stem}_rope-{layer}"
        seen[name] = np.array(value, dtype=np.float32)
        return True

    callback = CALLBACK(see)
    context = lib.llama_context_default_params()
    fields = bytes(context.bytes)
    # defrag_thold = -1, cb_eval and its data null, type_k = type_v = F16.
    marks = [found.start() + 4 for found in re.finditer(re.escape(struct.pack("<f16xII", -1.0, 1, 1)), fields)]
    if len(marks) != 1 or struct.unpack_from("<4i", fields, marks[0] - 48) != (-1, -1, -1, -1):
        sys.exit("llama_context_params of this version has another layout: use --npy")
    at = marks[0]
    put = lambda where, kind, value: struct.pack_into(kind, context.bytes, where, value)
    put(at, "<Q", ctypes.cast(callback, ctypes.c_void_p).value)
    put(at - 36, "<i", 0)  # flash_attn_type: disabled
    for threads in (at - 60, at - 56):
        put(threads, "<i", 1)
    model = lib.llama_model_load_from_file(args.model.encode(), lib.llama_model_default_params())
    if not model:
        sys.exit(f"llama.cpp cannot load {args.model}")
    run = lib.llama_init_from_model(model, context)
    tokens = (ctypes.c_int32 * len(ids))(*ids)
    wanted = (ctypes.c_int8 * len(ids))(*[1] * len(ids))
    batch = Batch(len(ids), ctypes.addressof(tokens), None, None, None, None, ctypes.addressof(wanted))
    if not run or lib.llama_decode(run, batch) != 0:
        sys.exit("llama_decode failed")
    return seen, runtime, lib.llama_model_n_head(model), lib.llama_model_n_head_kv(model)


def from_files():
    if not args.heads or not args.kv_heads:
        sys.exit("--npy needs --heads and --kv-heads")
    return {path.stem: np.load(path) for path in pathlib.Path(args.npy).glob("*.npy")}, "llama.cpp, files", args.heads, args.kv_heads


seen, runtime, heads, kv_heads = from_files() if args.npy else from_callback()
count = len(ids)
tensors = {"tokens": np.array(ids)}
sizes = [value.size // count // heads for name, value in seen.items() if name.startswith("Qcur-")]
head_size = sizes[0] if sizes else None
for name, value in seen.items():
    stem, _, layer = name.rpartition("-")
    stage = ENDS.get(name) or f"blk.{layer}.{NAMES.get(stem, '')}"
    kind = stage.rpartition(".")[2]
    if kind in ("q", "q_rope"):
        value = value.reshape(count, heads, -1)
    elif kind in ("k", "v", "k_rope"):
        value = value.reshape(count, kv_heads, -1)
    elif kind in ("kq", "kq_soft"):
        # The cache is longer than what is in it.
        value = value.reshape(heads, value.shape[-2], value.shape[-1])[:, :count, :count]
        if kind == "kq":
            if head_size is None:
                continue
            value = value / np.sqrt(np.float32(head_size))
    else:
        value = value.reshape(-1, value.shape[-1])
    tensors[stage] = np.ascontiguousarray(value, dtype=np.float32)
texts = {
    "format": "tritforge trace 1",
    "runtime": runtime,
    "arithmetic": "ggml",
    "model": pathlib.Path(args.model).name,
    "model_hash": "",
    "first_position": "0",
}
save_file(tensors, args.out, metadata=texts)
print(f"{args.out}: {len(tensors) - 1} tensors of {count} tokens, {runtime}")

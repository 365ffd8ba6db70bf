#!/usr/bin/env python3
"""Writes a trace (docs/trace.md) of a Hugging Face model: python scripts/trace-transformers.py MODEL --tokens 1,403,407 --out hf.safetensors

MODEL is what transformers' from_pretrained takes: a folder or an id; with --gguf-file the GGUF inside the folder, whose weights transformers
then converts itself. Models of the kind of Llama (Mistral, BitNet, ...): decoder layers with self_attn.{q,k,v,o}_proj and
mlp.{gate,up,down}_proj, attention through transformers' attention interface, where this script puts one of its own that does the
same as `eager` and notes rotated q and k, scores and weights.

Order of q and k: Hugging Face turns elements j and j + half of a head, GGUF files of architecture llama hold rows permuted so that 2j and 2j + 1
turn. --order interleaved (the usual for model types that llama.cpp's converter permutes) permutes each head of q, k, q_rope, k_rope here
in the same way; --order half leaves them. Scores and all behind them are the same in both.

Needs torch, transformers, safetensors; for BitNet accelerate too, and --dtype bfloat16, the type that its releases are computed in.
"""

import argparse
import sys

import torch
import transformers
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

# Model types whose q and k llama.cpp's converter permutes.
INTERLEAVED = {"llama", "mistral", "mixtral"}

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("model")
parser.add_argument("--gguf-file", help="the GGUF in the folder MODEL")
parser.add_argument("--tokens", help="ids, comma-separated")
parser.add_argument("--prompt", help="text instead of ids")
parser.add_argument("--dtype", default="float32", choices=["float64", "float32", "float16", "bfloat16"])
parser.add_argument("--order", choices=["interleaved", "half"], help="of the elements of q and k; by model type without it")
parser.add_argument("--trust-remote-code", action="store_true")
parser.add_argument("--out", required=True)
args = parser.parse_args()
if (args.tokens is None) == (args.prompt is None):
    sys.exit("give either --tokens or --prompt")

seen = {}


def note(name, value):
    """Keeps a value; of hooks that fire more than once the last."""
    seen[name] = value.detach().to("cpu")


def rows(value):
    """batch x tokens x ... of one sequence: tokens x width."""
    return value[0].reshape(value.shape[1], -1)


def heads(value, interleaved):
    """batch x heads x tokens x size: tokens x heads x size, in the order of the GGUF file."""
    value = value[0].transpose(0, 1)
    if interleaved:
        half = value.shape[-1] // 2
        value = value.unflatten(-1, (2, half)).transpose(-1, -2).flatten(-2)
    return value


def noting_attention(module, query, key, value, attention_mask, scaling=None, dropout=0.0, **kwargs):
    """transformers' eager attention, with its steps noted."""
    layer = f"blk.{module.layer_idx}."
    groups = query.shape[1] // key.shape[1]
    scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
    note(layer + "q_rope", heads(query, interleaved))
    note(layer + "k_rope", heads(key, interleaved))
    scores = torch.matmul(query, key.repeat_interleave(groups, dim=1).transpose(2, 3)) * scaling
    note(layer + "kq", scores[0])
    count = query.shape[2]
    masked = torch.full((count, count), float("-inf"), dtype=scores.dtype).triu(1)
    scores = scores + (masked if attention_mask is None else attention_mask[..., :count])
    wide = torch.promote_types(torch.float32, query.dtype)
    weights = torch.softmax(scores, dim=-1, dtype=wide).to(query.dtype)
    note(layer + "kq_soft", weights[0])
    out = torch.matmul(weights, value.repeat_interleave(groups, dim=1)).transpose(1, 2).contiguous()
    note(layer + "kqv", rows(out))
    return out, weights


transformers.AttentionInterface.register("noting", noting_attention)
transformers.AttentionMaskInterface.register("noting", transformers.masking_utils.eager_mask)
more = {"gguf_file": args.gguf_file} if args.gguf_file else {}
model = AutoModelForCausalLM.from_pretrained(
    args.model, dtype=getattr(torch, args.dtype), attn_implementation="noting", trust_remote_code=args.trust_remote_code, **more
).eval()
kind = model.config.model_type
interleaved = args.order == "interleaved" if args.order else kind in INTERLEAVED
if args.tokens is not None:
    ids = [int(id) for id in args.tokens.split(",")]
else:
    ids = AutoTokenizer.from_pretrained(args.model, **more)(args.prompt)["input_ids"]

body = model.model


def after(module, name):
    module.register_forward_hook(lambda module, inputs, output: note(name, rows(output[0] if isinstance(output, tuple) else output)))


def before(module, name):
    module.register_forward_pre_hook(lambda module, inputs: note(name, rows(inputs[0])))


def projection(module, name, permuted):
    def hook(module, inputs, output):
        split = output.unflatten(-1, (-1, size)).transpose(1, 2)
        note(name, heads(split, permuted))

    module.register_forward_hook(hook)


after(body.embed_tokens, "inp_embd")
for index, layer in enumerate(body.layers):
    name = f"blk.{index}."
    attention, mlp = layer.self_attn, layer.mlp
    size = attention.head_dim
    after(layer.input_layernorm, name + "attn_norm")
    projection(attention.q_proj, name + "q", interleaved)
    projection(attention.k_proj, name + "k", interleaved)
    projection(attention.v_proj, name + "v", False)
    if hasattr(attention, "attn_sub_norm"):
        after(attention.attn_sub_norm, name + "attn_sub_norm")
    after(attention.o_proj, name + "attn_out")
    before(layer.post_attention_layernorm, name + "attn_resid")
    after(layer.post_attention_layernorm, name + "ffn_norm")
    after(mlp, name + "ffn_out")
    after(layer, name + "l_out")
    if hasattr(mlp, "gate_proj"):
        after(mlp.gate_proj, name + "ffn_gate")
        after(mlp.up_proj, name + "ffn_up")
        before(getattr(mlp, "ffn_sub_norm", mlp.down_proj), name + "ffn_act")
        if hasattr(mlp, "ffn_sub_norm"):
            after(mlp.ffn_sub_norm, name + "ffn_sub_norm")
after(body.norm, "result_norm")
after(model.lm_head, "result_output")

with torch.no_grad():
    model(torch.tensor([ids]), use_cache=False)
# Norms are computed in float32 whatever the type of the weights.
short = {"float64": "f32", "float32": "f32", "float16": "f16", "bfloat16": "bf16"}
texts = {
    "format": "tritforge trace 1",
    "runtime": f"transformers {transformers.__version__}, torch {torch.__version__}",
    "arithmetic": short[args.dtype],
    "model": f"{args.model} ({kind})",
    "model_hash": "",
    "first_position": "0",
}
tensors = {name: value.contiguous().clone() for name, value in seen.items()}
save_file({"tokens": torch.tensor(ids)} | tensors, args.out, metadata=texts)
print(f"{args.out}: {len(seen)} tensors of {len(ids)} tokens, {texts['runtime']}, q and k {'interleaved' if interleaved else 'as in the model'}")

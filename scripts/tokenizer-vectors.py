#!/usr/bin/env python3
"""Makes tests/data/tokenizer: texts, and the ids that llama.cpp gives for them.

    python3 -m venv v && v/bin/pip install --no-deps xllamacpp==2026.10.11549
    v/bin/python scripts/tokenizer-vectors.py OUT [MODEL.gguf ...]

llama.cpp's C interface is called in the wheel's library, with vocabularies only. OUT/texts.json: the texts.
OUT/families.txt: ids of the first texts with the vocabulary of OUT/own-vocabulary.txt under every pre-tokenizer named there
(or in the list below, where the file does not exist). OUT/<model>.txt: ids of all texts, for each model given. A line is
`name TAB number TAB ids`. Text n is taken with special tokens parsed where n % 3 == 2, with BOS and EOS where n % 5 == 4.
"""
import ctypes as C
import glob
import json
import os
import random
import struct
import sys

FAMILIES = """default llama-bpe dbrx gpt-2 starcoder qwen2 qwen35 deepseek-llm deepseek-coder deepseek-v3 falcon bloom viking tekken
gpt-4o granite-embed-multi-97m chameleon bailingmoe seed-coder exaone-moe""".split()
TEXTS, FAMILY_TEXTS = 80, 24

WORDS = """the and was Hello WORLD it's I'm we've you'll they'RE don't I'D O'Reilly naïve café straße ΑΒΓ привет ПРИВЕТ мир 你好世界
日本語テスト ひらがな カタカナ 한국어 สวัสดี नमस्ते مرحبا שלום հայերեն ქართული 東京 fooBar FooBAR HTTPServer iPhone \u01c5ungla \ufb01ne \u212a \u2126 \u00b5""".split()
MARKS = list("½²Ⅷ①▁€$^`|~+<>=…。，、！？“”‘’—'\"_-#@\\/()[]{}&%*;:,.!?") + """🙂 👩‍💻 👨‍👩‍👧‍👦 🏳️‍🌈 e\u0301 ñ\u0301 क्षि ﷺ ٣٤٥ १२३ 🄰 \ufeff \ufffd
\u0301 'ſ 'S 'LL 'Re 'vE""".split() + list("\u200b\u200d\u00a0\u3000\u2028\u2003\u0085\x1c\0\x07\x7f")
SPACES = [" ", "  ", "   ", "    ", "\t", "\t\t", "\n", "\n\n", "\r\n", "\r", " \n", "\n ", "\n\n\n", " \t "]
DIGITS = "1 12 123 1234 12345 1234567 0 3.14 1,000,000 2024-01-02 0x1F １２３".split()
SPECIALS = "<s> </s> <unk> <0x0A> <|endoftext|> <|im_start|> <|im_end|> <tool> ## <sentinel:12> IMGIMGABZ".split()


def any_character(r):
    while True:
        code = r.choice([r.randint(0, 0x2FF), r.randint(0, 0xFFFF), r.randint(0x10000, 0x1FFFF), r.randint(0, 0x10FFFF)])
        if not 0xD800 <= code < 0xE000:
            return chr(code)


def text(r):
    out = []
    for _ in range(r.randint(1, 16)):
        kind = r.random()
        if kind < 0.33:
            out.append(r.choice(WORDS))
        elif kind < 0.5:
            out.append(r.choice(SPACES))
        elif kind < 0.62:
            out.append(r.choice(DIGITS))
        elif kind < 0.8:
            out.append(r.choice(MARKS))
        elif kind < 0.84:
            out.append(r.choice(SPECIALS))
        elif kind < 0.9:
            out.append(any_character(r))
        elif kind < 0.95:
            out.append(r.choice(SPACES) * r.randint(1, 6))
        else:
            out.append("".join(r.choice("aAbBzZeEst'1 ") for _ in range(r.randint(1, 8))))
        if r.random() < 0.35:
            out.append(" ")
    return "".join(out)


class Params(C.Structure):
    _fields_ = [("bytes", C.c_ubyte * 256)]


VOCAB_ONLY = 72  # place of llama_model_params.vocab_only in this version


def library():
    import xllamacpp  # noqa: F401  only to find its folder

    lib = C.CDLL(glob.glob(os.path.join(os.path.dirname(xllamacpp.__file__), "xllamacpp*.so"))[0])
    lib.llama_model_default_params.restype = Params
    lib.llama_model_load_from_file.restype = C.c_void_p
    lib.llama_model_load_from_file.argtypes = [C.c_char_p, Params]
    lib.llama_model_get_vocab.restype = C.c_void_p
    lib.llama_model_get_vocab.argtypes = [C.c_void_p]
    lib.llama_tokenize.argtypes = [C.c_void_p, C.c_char_p, C.c_int32, C.POINTER(C.c_int32), C.c_int32, C.c_bool, C.c_bool]
    lib.llama_backend_init()
    return lib


def vocabulary(lib, path):
    params = lib.llama_model_default_params()
    assert bytes(params.bytes[VOCAB_ONLY : VOCAB_ONLY + 3]) == b"\0\0\1", "another layout of llama_model_params"
    params.bytes[VOCAB_ONLY] = 1
    model = lib.llama_model_load_from_file(path.encode(), params)
    assert model, path
    return lib.llama_model_get_vocab(model)


def ids(lib, vocab, number, content):
    raw = content.encode()
    room = 3 * len(raw) + 16
    out = (C.c_int32 * room)()
    count = lib.llama_tokenize(vocab, raw, len(raw), out, room, number % 5 == 4, number % 3 == 2)
    assert count >= 0
    return out[:count]


def gguf(path, metadata):
    def string(value):
        raw = value.encode()
        return struct.pack("<Q", len(raw)) + raw

    def typed(value):
        if isinstance(value, bool):
            return struct.pack("<I?", 7, value)
        if isinstance(value, int):
            return struct.pack("<II", 4, value)
        if isinstance(value, float):
            return struct.pack("<If", 6, value)
        if isinstance(value, str):
            return struct.pack("<I", 8) + string(value)
        if isinstance(value[0], int):
            return struct.pack(f"<IIQ{len(value)}i", 9, 5, len(value), *value)
        return struct.pack("<IIQ", 9, 8, len(value)) + b"".join(map(string, value))

    body = b"".join(string(key) + typed(value) for key, value in metadata.items())
    with open(path, "wb") as file:
        file.write(b"GGUF" + struct.pack("<IQQ", 3, 0, len(metadata)) + body)


def own(path, pre, tokens, merges):
    kinds = [3 if t in ("<|endoftext|>", "<|im_start|>", "<|im_end|>") else 4 if t in ("<tool>", "##") else 1 for t in tokens]
    shape = {"block_count": 1, "context_length": 8, "embedding_length": 32, "feed_forward_length": 32, "attention.head_count": 1}
    section = {"model": "gpt2", "pre": pre, "tokens": tokens, "token_type": kinds, "merges": merges, "bos_token_id": 0, "eos_token_id": 0}
    metadata = {"general.architecture": "llama", "llama.attention.layer_norm_rms_epsilon": 1e-5}
    metadata |= {f"llama.{key}": value for key, value in shape.items()}
    gguf(path, metadata | {f"tokenizer.ggml.{key}": value for key, value in section.items()})


def main(out, models):
    lib = library()
    r = random.Random(20261121)
    texts = [text(r) for _ in range(TEXTS)]
    with open(f"{out}/texts.json", "w") as file:
        json.dump(texts, file, indent=0)
        file.write("\n")
    tokens, merges = (block.split("\n") for block in open(f"{out}/own-vocabulary.txt").read().rstrip("\n").split("\n\n"))
    with open(f"{out}/families.txt", "w") as file:
        for pre in FAMILIES:
            path = f"{out}/own.gguf"
            own(path, pre, tokens, merges)
            vocab = vocabulary(lib, path)
            os.remove(path)
            for number, content in enumerate(texts[:FAMILY_TEXTS]):
                print(pre, number, " ".join(map(str, ids(lib, vocab, number, content))), sep="\t", file=file)
    for model in models:
        name = os.path.splitext(os.path.basename(model))[0]
        vocab = vocabulary(lib, model)
        with open(f"{out}/{name}.txt", "w") as file:
            for number, content in enumerate(texts):
                print(name, number, " ".join(map(str, ids(lib, vocab, number, content))), sep="\t", file=file)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])

"""Compares koala chat --backend local and the forward pass with llama.cpp's server on modeltest's scripted model."""

import json
import pathlib
import subprocess
import sys
import urllib.request

import numpy as np
from koala_interop import fact, koala, main

HERE = pathlib.Path(__file__).resolve().parent
EOS, LENGTH = 2, 24
# Their last tokens begin the model's chains: see modeltest/scripted.go.
SCRIPTED = ["GPT:", "x stop", "x loop", "x smile", "x broken", "x end", "hello there GPT:"]


class Llama:
    def __init__(self, path):
        import xllamacpp

        params = xllamacpp.CommonParams()
        params.model.path, params.port = str(path), 0
        params.n_ctx, params.n_parallel = 2048, 1
        self.server = xllamacpp.Server(params)

    def complete(self, ids, length):
        body = {"prompt": ids, "n_predict": length, "temperature": 0, "return_tokens": True, "cache_prompt": False}
        request = urllib.request.Request(
            self.server.listening_address + "/completion", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        return json.load(urllib.request.urlopen(request, timeout=60))


def until_end(ids):
    return ids[: ids.index(EOS)] if EOS in ids else ids


def same_continuations(program, path, llama, prompts):
    lines = "".join(json.dumps(ids) + "\n" for ids in prompts)
    done = subprocess.run([program, "continue", path, str(LENGTH)], input=lines, capture_output=True, text=True, check=True)
    ours = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(ours) == len(prompts), done.stdout
    for ids, got in zip(prompts, ours, strict=True):
        want = llama.complete(ids, LENGTH)["tokens"]
        assert until_end(want) == until_end(got), f"behind {ids}: llama.cpp has {want}, koala {got}"
    return sum(len(until_end(got)) for got in ours)


def check_llama_cpp(tmp):
    if sys.platform != "linux":
        print("     local.llama.cpp: not run: xllamacpp is pinned for Linux only")
        return
    program, half, full = tmp / "scripted", tmp / "f16.gguf", tmp / "f32.gguf"
    subprocess.run(["go", "build", "-o", program, "./scripted"], cwd=HERE, check=True)
    subprocess.run([program, "write", half], check=True)
    koala("convert", "--in", half, "--out", full, "--format", "gguf", "--dtype", "fp32", "--quiet")

    encoded = koala("tokenizer", "encode", "--in", "lines", text="".join(p + "\n" for p in SCRIPTED))
    scripted = [json.loads(line) for line in encoded.splitlines()]
    llama = Llama(half)
    with fact("local: greedy continuations of the scripted model, fp16, are llama.cpp's"):
        assert len(scripted) == len(SCRIPTED), encoded
        same_continuations(program, half, llama, scripted)
    with fact("local: koala chat's reply is the text of llama.cpp's server"):
        ids = json.loads(koala("prompt", "--ids", text='[{"role":"user","content":"Hello!"}]'))
        reply = koala("chat", "--backend", "local", "--model", half, "--temperature", "0", "--quiet", text="Hello!\n")
        assert reply.strip() == llama.complete(ids, 100)["content"].strip() != "", reply

    # After any other token the best logits are close together, so rounding may decide. A chain follows soon.
    rng = np.random.default_rng(11)
    prompts = [[int(t) for t in rng.integers(300, 32000, n)] for n in [1, 2, 3, 17, 64, 200, 500] * 6]
    with fact("local: greedy continuations behind random ids, fp32, are llama.cpp's"):
        tokens = same_continuations(program, full, Llama(full), prompts)
        assert tokens > 100, tokens


if __name__ == "__main__":
    main(globals())

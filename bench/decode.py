"""Compares the speed of prompts and replies with llama.cpp (its HTTP server, from the
pinned wheel xllamacpp) on a model in memory, and prints a table.

    $(interop/python) bench/decode.py [bf16|fp16 …]

The model has 1.26 G random weights (2048 x 22 layers, ffn 5632). Both run
the same GGUF file and alternate. The results are medians of all rounds; a ratio
compares the two runs of one round.
"""

import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import urllib.request

import xllamacpp

ROUNDS = int(os.environ.get("ROUNDS", "5"))
REPLY = 24
CASES = [(32, REPLY), (256, 0)]
here = pathlib.Path(__file__).resolve().parent


def ids(n):
    return [100 + 37 * i % 30000 for i in range(n)]


class Llama:
    def __init__(self, path):
        params = xllamacpp.CommonParams()
        params.model.path, params.port = str(path), 0
        params.n_ctx, params.n_parallel = 512, 1
        self.server = xllamacpp.Server(params)

    def measure(self, prompt, reply):
        body = {"prompt": ids(prompt), "n_predict": reply + 1, "temperature": 0, "ignore_eos": True, "cache_prompt": False}
        request = urllib.request.Request(
            self.server.listening_address + "/completion", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        t = json.load(urllib.request.urlopen(request, timeout=600))["timings"]
        assert t["prompt_n"] == prompt and t["predicted_n"] == reply + 1, t
        return t["prompt_ms"] / 1e3, t["predicted_ms"] / 1e3


class Koala:
    def __init__(self, binary, path):
        self.process = subprocess.Popen([binary, "run", path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.kernel = self.process.stdout.readline().split()[1]

    def measure(self, prompt, reply):
        self.process.stdin.write(f"{prompt} {reply}\n")
        self.process.stdin.flush()
        return tuple(map(float, self.process.stdout.readline().split()))


def compare(binary, path, dtype):
    koala, llama = Koala(binary, path), Llama(path)
    rates = {}
    for round in range(ROUNDS + 1):
        for prompt, reply in CASES:
            for name, peer in ("koala", koala), ("llama", llama):
                first, rest = peer.measure(prompt, reply)
                if round == 0:
                    continue  # a warm-up run
                rates.setdefault((f"prompt of {prompt}", name), []).append(prompt / first)
                if reply:
                    rates.setdefault(("decode", name), []).append(reply / rest)
    for what in ("prompt of 32", "prompt of 256", "decode"):
        ours, theirs = rates[what, "koala"], rates[what, "llama"]
        quotient = statistics.median(a / b for a, b in zip(ours, theirs))
        print(f"| {dtype} | {what} | {statistics.median(ours):.1f} | {statistics.median(theirs):.1f} | {quotient:.2f} |", flush=True)
    koala.process.stdin.close()
    koala.process.wait()


def main():
    with tempfile.TemporaryDirectory() as folder:
        binary = f"{folder}/decode"
        subprocess.run(["go", "build", "-o", binary, "./decode"], cwd=here, check=True)
        print(f"tokens a second, medians of {ROUNDS} rounds; xllamacpp {xllamacpp.__version__}")
        print("| weights | | koala | llama.cpp | quotient |\n|---|---|---:|---:|---:|")
        for dtype in sys.argv[1:] or ["bf16", "fp16"]:
            path = f"{folder}/{dtype}.gguf"
            subprocess.run([binary, "write", path, dtype], check=True)
            compare(binary, path, dtype)
            os.remove(path)


main()

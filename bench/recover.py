"""Compares `koala recover` with the floor and with its peers, and prints a table of
seconds, ratios and peak memory.

    python3 bench/recover.py [--size 0.6] [--rounds 3] [--easylm DIR] [--only NAME,…] [--cold] [--keep DIR]

The script makes a base (fp16, Hugging Face's layout) and a diff (bf16, EasyLM
stream) of 0.1, 0.6, 1.1 or 3.4 G parameters, in the formats that the peers read.
Each program recovers to Hugging Face's layout in its own process. The floor
reads both inputs, and writes and syncs as many bytes as the output has. A ratio
compares a run with the floor right before it; the results are medians of all
rounds. FastChat, mergekit and EasyLM run once. --cold drops the inputs from the
page cache before each run. --keep keeps the pair for the next run.

EasyLM is not on PyPI: DIR is a checkout of its repository, whose last commit is
fe5b2c3; its steps are convert_hf_to_easylm, diff_checkpoint and
convert_easylm_to_hf. Virtual environments are made outside the checkout, in
~/.cache/koala-bench-recover or KOALA_BENCH_VENV, and extend that of
interop/python. The disk needs room for six models: 8 GB for 0.6 G parameters.
"""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

PEERS = ["fschat==0.2.36", "mergekit==0.1.5", "accelerate==1.12.0", "peft==0.18.0", "immutables==0.21", "aiohttp==3.14.5", "fastapi==0.165.0",
         "markdown2==2.5.5", "nh3==0.3.8", "prompt_toolkit==3.0.53", "shortuuid==1.0.13", "tiktoken==0.14.0", "uvicorn==0.54.0", "starlette==1.10.0",
         "attrs==26.1.0", "multidict==7.2.1", "yarl==1.25.1", "frozenlist==1.8.0", "aiosignal==1.4.0", "aiohappyeyeballs==2.7.1", "propcache==0.5.4", "wcwidth==0.9.4"]
EASYLM = ["transformers==4.57.3", "huggingface_hub==0.36.2", "tokenizers==0.22.2", "jax==0.4.38", "jaxlib==0.4.38", "flax==0.10.2", "mlxu==0.2.0",
          "ml_collections==1.1.0", "einops==0.8.2"]
SIZES = {  # layers, width, feed-forward width, heads
    "0.1": (4, 1024, 2752, 16), "0.6": (10, 2048, 5504, 16), "1.1": (20, 2048, 5504, 16), "3.4": (26, 3200, 8640, 32),
}
VOCABULARY = 32000
here = pathlib.Path(__file__).resolve().parent


def environment(name, packages, options):
    """Returns a virtual environment that extends that of interop/python."""
    below = subprocess.run([here.parent / "interop/python"], check=True, capture_output=True, text=True).stdout.strip()
    cache = pathlib.Path(os.environ.get("KOALA_BENCH_VENV", pathlib.Path.home() / ".cache/koala-bench-recover"))
    python = cache / name / "bin/python"
    if not (cache / name / "complete").exists():
        subprocess.run([below, "-m", "venv", "--clear", cache / name], check=True)
        find = "import sysconfig; print(sysconfig.get_path('purelib'))"
        packages_of = [subprocess.run([p, "-c", find], check=True, capture_output=True, text=True).stdout.strip() for p in (python, below)]
        pathlib.Path(packages_of[0], "interop.pth").write_text(packages_of[1] + "\n")
        subprocess.run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *options, *packages], check=True)
        (cache / name / "complete").touch()
    return str(python)


MAKE_PAIR = r"""
import json, sys
import numpy as np
layers, dim, ffn, vocabulary = map(int, sys.argv[1:5])
shapes = {"model.embed_tokens.weight": (vocabulary, dim), "model.norm.weight": (dim,), "lm_head.weight": (vocabulary, dim)}
for i in range(layers):
    p = f"model.layers.{i}."
    shapes.update({p + f"self_attn.{x}_proj.weight": (dim, dim) for x in "qkvo"})
    shapes.update({p + f"mlp.{x}_proj.weight": (ffn, dim) for x in ("gate", "up")})
    shapes.update({p + "mlp.down_proj.weight": (dim, ffn), p + "input_layernorm.weight": (dim,), p + "post_attention_layernorm.weight": (dim,)})
rng = np.random.default_rng(7)
for path, dtype, scale, norm in ((sys.argv[5], "F16", 0.02, 1), (sys.argv[6], "BF16", 0.0005, 0)):
    header, at = {"__metadata__": {"format": "pt"}}, 0
    for name, shape in sorted(shapes.items()):
        size = 2 * int(np.prod(shape))
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": (at, at + size)}
        at += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(len(text).to_bytes(8, "little") + text)
        for name, shape in sorted(shapes.items()):
            x = rng.standard_normal(shape, np.float32) * np.float32(scale) + np.float32(norm * ("norm" in name))
            f.write(x.astype(np.float16).tobytes() if dtype == "F16" else (x.view(np.uint32) >> 16).astype(np.uint16).tobytes())
"""

MAKE_BIN = r"""
import sys, torch
from safetensors.torch import load_file
for source, target in (sys.argv[1:3], sys.argv[3:5]):
    torch.save(load_file(source), target)
"""


class Bench:
    def __init__(self, folder, size, easylm):
        self.folder, self.easylm = pathlib.Path(folder), easylm
        self.layers, self.dim, self.ffn, self.heads = SIZES[size]
        self.koala = self.path("koala")
        subprocess.run(["go", "build", "-o", self.koala, "./cmd/koala"], cwd=here.parent, check=True)
        self.python = environment("peers", PEERS, ["--no-deps"])
        self.base, self.delta, self.out = self.path("base"), self.path("diff.stream"), self.path("out")
        if not os.path.exists(self.path("complete")):
            self.make()
            pathlib.Path(self.path("complete")).touch()
        self.output_bytes = os.path.getsize(self.base + "/model.safetensors")

    def path(self, name):
        return str(self.folder / name)

    def call(self, *command, **options):
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)

    def make(self):
        """Writes the pair in every format: directories of safetensors and of .bin, and streams."""
        config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": self.dim, "intermediate_size": self.ffn,
                  "num_attention_heads": self.heads, "num_key_value_heads": self.heads, "num_hidden_layers": self.layers, "vocab_size": VOCABULARY,
                  "rms_norm_eps": 1e-6, "max_position_embeddings": 2048, "hidden_act": "silu", "tie_word_embeddings": False, "torch_dtype": "float16"}
        for name in ("base", "delta", "base.bin", "delta.bin"):
            os.mkdir(self.path(name))
            pathlib.Path(self.path(name), "config.json").write_text(json.dumps(config))
            pathlib.Path(self.path(name), "tokenizer_config.json").write_text('{"tokenizer_class": "LlamaTokenizer"}')
            for form, file in (("spm", "tokenizer.model"), ("hf", "tokenizer.json")):
                self.call(self.koala, "tokenizer", "export", "--format", form, "--out", self.path(f"{name}/{file}"))
        weights = [self.path(f"{name}/model.safetensors") for name in ("base", "delta")]
        bins = [self.path(f"{name}.bin/pytorch_model-00001-of-00001.bin") for name in ("base", "delta")]
        self.call(self.python, "-c", MAKE_PAIR, *map(str, (self.layers, self.dim, self.ffn, VOCABULARY)), *weights)
        self.call(self.python, "-c", MAKE_BIN, weights[0], bins[0], weights[1], bins[1])
        self.call(self.koala, "convert", "--in", self.path("delta"), "--out", self.delta, "--format", "easylm", "--digests", "none")
        for name, path in (("base", self.base), ("diff", self.delta)):
            text = subprocess.run([self.koala, "inspect", "--json", path], check=True, capture_output=True).stdout
            pathlib.Path(self.path(name + ".json")).write_bytes(text)
        pathlib.Path(self.path("mergekit.yaml")).write_text(json.dumps({
            "merge_method": "linear", "dtype": "bfloat16", "parameters": {"normalize": False},
            "models": [{"model": self.path(n), "parameters": {"weight": 1.0}} for n in ("base", "delta")]}))

    def commands(self):
        """Returns for each name the commands of a recovery and whether it is repeated."""
        peers = [self.python, str(here / "recover_peers.py")]

        def koala(digests):
            return [[self.koala, "recover", "--base", self.base, "--diff", self.delta, "--out", self.out, "--digests", digests, "--quiet"]]

        def script(name, *more):
            return [[*peers, name, self.out, self.path("base.json"), self.path("diff.json"), *more]]

        def fastchat(form, *more):
            return [[self.python, "-m", "fastchat.model.apply_delta", "--base-model-path", self.path("base" + form), "--delta-path", self.path("delta" + form),
                     "--target-model-path", self.out, *more]]

        all = {
            "koala, no digests": (koala("none"), True),
            "koala, sha256 of the output": (koala("output"), True),
            "koala, of the inputs too": (koala("all"), True),
            "numpy": (script("numpy"), True),
            "numpy, sha256": (script("numpy", "sha256"), True),
            "torch": (script("torch"), True),
            "FastChat": (fastchat(""), False),
            "FastChat --low-cpu-mem": (fastchat(".bin", "--low-cpu-mem"), False),
            "mergekit": ([[os.path.dirname(self.python) + "/mergekit-yaml", self.path("mergekit.yaml"), self.out]], False),
        }
        if self.easylm:
            all["EasyLM, three steps"] = (self.easylm_steps(), False)
        return all

    def easylm_steps(self):
        python = environment("easylm", EASYLM, [])
        shape = [f"--llama.{name}={value}" for name, value in (
            ("vocab_size", VOCABULARY), ("hidden_size", self.dim), ("intermediate_size", self.ffn), ("num_hidden_layers", self.layers),
            ("num_attention_heads", self.heads), ("num_key_value_heads", self.heads))]
        base, sum = self.path("out.base"), self.path("out.sum")
        module = [python, "-m"]
        return [
            [*module, "EasyLM.models.llama.convert_hf_to_easylm", f"--hf_model={self.base}", f"--output_file={base}", "--float_dtype=fp16", *shape],
            [*module, "EasyLM.scripts.diff_checkpoint", "--recover_diff=True", f"--load_base_checkpoint=params::{base}",
             f"--load_target_checkpoint=params::{self.delta}", f"--output_file={sum}", "--float_dtype=bf16"],
            [*module, "EasyLM.models.llama.convert_easylm_to_hf", f"--load_checkpoint=params::{sum}", f"--output_dir={self.out}", *shape],
        ]

    def clean(self):
        for path in self.folder.glob("out*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def drop(self):
        """Drops the inputs from the page cache."""
        for path in (p for p in self.folder.rglob("*") if p.is_file()):
            fd = os.open(path, os.O_RDONLY)
            os.fsync(fd)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(fd)

    def measure(self, commands):
        """Returns seconds and the peak memory in bytes of the largest process."""
        environ = dict(os.environ, PYTHONPATH=self.easylm or "", TOKENIZERS_PARALLELISM="false", JAX_PLATFORMS="cpu", HF_HUB_OFFLINE="1", WANDB_MODE="disabled",
                       TMPDIR=str(self.folder))
        log, peak, start = self.path("log"), 0, time.perf_counter()
        for command in commands:
            with open(log, "w") as f:
                child = subprocess.Popen(command, stdout=f, stderr=subprocess.STDOUT, env=environ)
                _, status, usage = os.wait4(child.pid, 0)
            if status != 0:
                sys.exit(f"{' '.join(command)} failed:\n{pathlib.Path(log).read_text()[-3000:]}")
            peak = max(peak, usage.ru_maxrss * 1024)
        # The time includes writing back the pages that a program left dirty.
        for path in self.folder.glob("out*/*.*"):
            fd = os.open(path, os.O_RDONLY)
            os.fsync(fd)
            os.close(fd)
        return time.perf_counter() - start, peak

    def floor(self):
        child = subprocess.run([self.python, str(here / "recover_peers.py"), "floor", self.out, str(self.output_bytes), self.base + "/model.safetensors",
                                self.delta], check=True, capture_output=True, text=True)
        return float(child.stdout)

    def run(self, names, rounds, cold):
        """Returns for each name a list of (seconds, ratio to the floor, peak memory)."""
        all, results, floors = self.commands(), {}, []
        for round in range(rounds):
            for name in names:
                commands, repeated = all[name]
                if round > 0 and not repeated:
                    continue
                if cold:
                    self.drop()
                least = self.floor()
                self.clean()
                if cold:
                    self.drop()
                seconds, peak = self.measure(commands)
                self.check(name)
                self.clean()
                floors.append(least)
                results.setdefault(name, []).append((seconds, seconds / least, peak))
                print(f"round {round + 1}: {name}: {seconds:.2f} s, floor {least:.2f} s", file=sys.stderr)
        return results, statistics.median(floors)

    def check(self, name):
        """Checks that there is an output, and that programs with koala's arithmetic wrote koala's weights."""
        if not name.startswith(("koala", "numpy", "torch")):
            if not any(os.path.getsize(p) > self.output_bytes // 100 for p in self.folder.glob("out/*")):
                sys.exit(f"{name} wrote no weights")
            return
        text = subprocess.run([self.koala, "inspect", "--digest", "--json", self.out, "--heads", str(self.heads)], check=True, capture_output=True).stdout
        digests = {t["name"]: t["sha256"] for t in json.loads(text)["tensors"]}
        kept = pathlib.Path(self.path("digests.json"))
        if not kept.exists():
            kept.write_text(json.dumps(digests))
        if json.loads(kept.read_text()) != digests:
            sys.exit(f"{name} gave other weights")


def table(results, floor):
    ours = {name: statistics.median(r[0] for r in rows) for name, rows in results.items() if name.startswith("koala")}
    best = ours.get("koala, no digests", float("nan"))
    print("| | seconds | × the floor | × koala without digests | peak memory, MB |\n|---|---|---|---|---|")
    print(f"| floor | {floor:.2f} | 1 | | |")
    for name, rows in results.items():
        seconds, quotient, peak = (statistics.median(r[i] for r in rows) for i in range(3))
        print(f"| {name} | {seconds:.2f} | {quotient:.2f} | {seconds / best:.1f} | {peak / 1e6:.0f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="0.6")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--easylm")
    parser.add_argument("--only", help="names of rows, or how they begin")
    parser.add_argument("--cold", action="store_true")
    parser.add_argument("--keep")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if args.keep:
            folder = args.keep
            os.makedirs(folder, exist_ok=True)
        bench = Bench(folder, args.size, args.easylm and str(pathlib.Path(args.easylm).resolve()))
        bench.clean()
        names = [n for n in bench.commands() if not args.only or n.startswith(tuple(args.only.split(",")))]
        table(*bench.run(names, args.rounds, args.cold))


if __name__ == "__main__":
    main()

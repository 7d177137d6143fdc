"""Compares koala with a Python pipeline like the original (json, rules,
sentencepiece, numpy) on the work from HH conversations to packed batches.

    python3 bench/dataset.py PROSE [MB]      PROSE: any text; MB: size of the JSON lines made from it (default 100)

Makes a virtual environment outside the checkout (~/.cache/koala-bench-dataset,
or KOALA_BENCH_VENV) with pinned peers, and checks that both write the same
batches. They run one after the other in each round; the result is the median.
Speeds are MB of raw JSON lines per second of the whole process. The Python side
is slow and reads only the first tenth. The same rounds compare one process that
does two units of work (--count 1) with two processes that do one unit each.
"""

import filecmp
import json
import os
import pathlib
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

PEERS = ["sentencepiece==0.2.3", "numpy==2.4.6"]
ROUNDS = int(os.environ.get("ROUNDS", "3"))
here = pathlib.Path(__file__).resolve().parent

# The rules for HH, EasyLM's TextProcessor of 2024 without its last EOS, and its
# packing, reimplemented for this measurement.
REFERENCE = r"""
import json, sys
import numpy as np
import sentencepiece

sp = sentencepiece.SentencePieceProcessor(model_file=sys.argv[1])
SEQ, BATCH = 2048, 8
CHUNK = SEQ * BATCH
MARKS = {"marker_user": "USER:", "marker_gpt": "GPT:", "marker_gpt_bad": "An Unhelpful Answer:"}

def record(text, reply):
    out, fields, turns = dict(MARKS), [], []
    for message in text.split("Human:")[1:]:
        parts = message.split("Assistant:")
        turns += [parts[0].strip(), parts[1].strip()]
    for i, turn in enumerate(turns):
        if i % 2 == 0:
            out[f"human_{i}"] = turn
        else:
            out[f"{reply}_{i}"] = turn
            fields += [f"[marker_user+human_{i - 1}+marker_{reply}]", f"{reply}_{i}", "<|eos|>"]
    out["fields"] = ",".join(fields)
    return out

def tokens(example):
    ids, masks = [sp.bos_id()], [0.0]
    for i, field in enumerate(example["fields"].split(",")):
        mask = 1.0
        if field.startswith("[") and field.endswith("]"):
            field, mask = field[1:-1], 0.0
        if field == "<|eos|>":
            ids.append(sp.eos_id())
            masks.append(mask)
            continue
        text = " ".join(example[key] for key in field.split("+"))
        if i == 0:
            text = "BEGINNING OF CONVERSATION: " + text
        some = sp.encode(text)
        ids.extend(some)
        masks.extend([mask] * len(some))
    return ids, masks

written = []
ids, masks = [], []
for line in open(sys.argv[2], encoding="utf-8"):
    raw = json.loads(line)
    for side, reply in (("chosen", "gpt"), ("rejected", "gpt_bad")):
        some, marks = tokens(json.loads(json.dumps(record(raw[side], reply))))
        ids.extend(some)
        masks.extend(marks)
        while len(ids) > CHUNK + 1:
            written.append((
                np.array(ids[:CHUNK], dtype=np.int32).reshape(BATCH, SEQ),
                np.array(ids[1:CHUNK + 1], dtype=np.int32).reshape(BATCH, SEQ),
                np.array(masks[1:CHUNK + 1], dtype=np.float32).reshape(BATCH, SEQ),
            ))
            ids, masks = ids[CHUNK:], masks[CHUNK:]
for i, name in enumerate(("input_tokens", "target_tokens", "loss_masks")):
    np.save(f"{sys.argv[3]}/{name}.npy", np.stack([w[i] for w in written]))
"""

COMPARE = r"""
import glob, sys
import numpy as np
for name in ("input_tokens", "target_tokens", "loss_masks"):
    ours = np.concatenate([np.load(f, mmap_mode="r") for f in sorted(glob.glob(f"{sys.argv[1]}/{name}-*.npy"))])
    theirs = np.load(f"{sys.argv[2]}/{name}.npy")
    assert len(theirs) > 0 and ours.dtype == theirs.dtype and (ours == theirs).all(), name
print(len(theirs), "batches are equal", file=sys.stderr)
"""


def environment():
    venv = pathlib.Path(os.environ.get("KOALA_BENCH_VENV", pathlib.Path.home() / ".cache/koala-bench-dataset"))
    if not (venv / "bin/python").exists():
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    subprocess.run([venv / "bin/python", "-m", "pip", "install", "-q", "--disable-pip-version-check", *PEERS], check=True)
    return venv / "bin/python"


def conversations(prose, path, size):
    """Writes JSON lines in the format of Anthropic's HH: one to three turns, two last replies."""
    rng = random.Random(7)
    text = pathlib.Path(prose).read_text(encoding="utf-8", errors="replace")
    sentences = [s.strip() for s in re.split(r"(?<=[.?!])\s+|\n\n+", text) if 10 < len(s.strip()) < 400]
    sentences = [s for s in sentences if "Human:" not in s and "Assistant:" not in s]

    def say(most):
        start = rng.randrange(len(sentences) - most)
        return " ".join(sentences[start:start + rng.randint(1, most)])

    with open(path, "w") as f:
        while f.tell() < size:
            talk = "\n\nHuman: " + say(2)
            for _ in range(rng.choice([0, 0, 1, 1, 2])):
                talk += "\n\nAssistant: " + say(3) + "\n\nHuman: " + say(2)
            f.write(json.dumps({s: talk + "\n\nAssistant: " + say(4) for s in ("chosen", "rejected")}) + "\n")


def timed(*commands):
    """Runs commands concurrently; returns elapsed seconds and processor seconds of all cores."""
    start, before = time.perf_counter(), os.times()
    for process in [subprocess.Popen(command) for command in commands]:
        if process.wait():
            sys.exit(f"{process.args} failed")
    after = os.times()
    return time.perf_counter() - start, sum(after[2:4]) - sum(before[2:4])


def same(a, b):
    """Checks that two directories hold the same files."""
    for root, _, names in os.walk(a):
        for name in names:
            path = os.path.join(root, name)
            if not filecmp.cmp(path, os.path.join(b, os.path.relpath(path, a)), shallow=False):
                sys.exit(f"{path} is another in {b}")


def main():
    prose = sys.argv[1] if len(sys.argv) > 1 else sys.exit(__doc__)
    size = int(float(sys.argv[2]) * 1e6) if len(sys.argv) > 2 else 100_000_000
    python = environment()
    with tempfile.TemporaryDirectory() as folder:
        koala, model, many, few = (os.path.join(folder, n) for n in ("koala", "tokenizer.model", "hh.jsonl", "few.jsonl"))
        subprocess.run(["go", "build", "-o", koala, "./cmd/koala"], cwd=here.parent, check=True)
        subprocess.run([koala, "tokenizer", "export", "--format", "spm", "--out", model], check=True)
        conversations(prose, many, size)
        with open(many) as f, open(few, "w") as g:
            while g.tell() < size // 10:
                g.write(f.readline())

        def ours(path, out, count=0):
            shutil.rmtree(out, ignore_errors=True)
            command = [koala, "dataset", "pack", "--source", "hh", "--in", path, "--out", out, "--seq-length", "2048", "--batch", "8", "--quiet"]
            shares = [["--count", str(count), "--index", str(i), "--unit-size", str(size // 2)] for i in range(count)]
            return timed(*[command + share for share in shares or [[]]])

        os.mkdir(os.path.join(folder, "theirs"))
        seconds = {"koala": [], "python": [], 1: [], 2: []}
        for _ in range(ROUNDS):
            seconds["koala"].append(ours(many, os.path.join(folder, "ours")))
            for count in (1, 2):
                seconds[count].append(ours(many, os.path.join(folder, f"shared{count}"), count))
            same(os.path.join(folder, "shared1"), os.path.join(folder, "shared2"))
            seconds["python"].append(timed([python, "-c", REFERENCE, model, few, os.path.join(folder, "theirs")]))
        ours(few, os.path.join(folder, "few"))
        subprocess.run([python, "-c", COMPARE, os.path.join(folder, "few"), os.path.join(folder, "theirs")], check=True)
        for i, what in enumerate(("wall clock", "processor time")):
            fast = os.path.getsize(many) / 1e6 / statistics.median(s[i] for s in seconds["koala"])
            slow = os.path.getsize(few) / 1e6 / statistics.median(s[i] for s in seconds["python"])
            print(f"{what}: koala {fast:.1f} MB/s, python {slow:.2f} MB/s, ratio {fast / slow:.1f}")
        for count in (1, 2):
            print(f"--count {count}: {os.path.getsize(many) / 1e6 / statistics.median(s[0] for s in seconds[count]):.1f} MB/s")


if __name__ == "__main__":
    main()

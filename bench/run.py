"""Compares koala's tokenizer with its peers and prints a table of ratios.

    python3 bench/run.py NAME=FILE…        for example  chat=chat.txt code=code.txt multi=multi.txt

Makes a virtual environment outside the checkout (~/.cache/koala-bench, or
KOALA_BENCH_VENV) with pinned peers. All run one after the other in each
round, so that the conditions are the same. The result is the shortest time of
all rounds, which other work on the machine disturbs least. Times are processor
times, except for the comparison of two workers with one. Each corpus is encoded
line by line in one thread.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

PEERS = ["sentencepiece==0.2.3", "tokenizers==0.23.3"]
ROUNDS = int(os.environ.get("ROUNDS", "11"))
here = pathlib.Path(__file__).resolve().parent

PYTHON_PEERS = r"""
import json, sys, time
import sentencepiece, tokenizers
sp = sentencepiece.SentencePieceProcessor(model_file=sys.argv[1])
hf = tokenizers.Tokenizer.from_file(sys.argv[2])
seconds = {}
for arg in sys.argv[3:]:
    name, path = arg.split("=", 1)
    lines = open(path, encoding="utf-8", errors="replace", newline="\n").read().split("\n")
    start = time.process_time()
    rows = sp.encode(lines, num_threads=1)
    seconds["sentencepiece " + name] = time.process_time() - start
    start = time.process_time()
    sp.decode(rows, num_threads=1)
    seconds["sentencepiece-decode " + name] = time.process_time() - start
    start = time.process_time()
    for line in lines:
        hf.encode(line, add_special_tokens=False)
    seconds["tokenizers " + name] = time.process_time() - start
    start = time.process_time()
    for row in rows:
        hf.decode(row)
    seconds["tokenizers-decode " + name] = time.process_time() - start
    seconds["bytes " + name] = sum(len(x.encode()) for x in lines)
    seconds["tokens " + name] = sum(map(len, rows))
print(json.dumps(seconds))
"""


def environment():
    venv = pathlib.Path(os.environ.get("KOALA_BENCH_VENV", pathlib.Path.home() / ".cache/koala-bench"))
    if not (venv / "bin/python").exists():
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    subprocess.run([venv / "bin/python", "-m", "pip", "install", "-q", "--disable-pip-version-check", *PEERS], check=True)
    return venv / "bin/python"


def main():
    corpora = sys.argv[1:] or sys.exit(__doc__)
    corpora = [f"{c.split('=', 1)[0]}={pathlib.Path(c.split('=', 1)[1]).resolve()}" for c in corpora]
    python = environment()
    with tempfile.TemporaryDirectory() as folder:
        model, model_hf, bench, koala = (os.path.join(folder, n) for n in ("tokenizer.model", "tokenizer.json", "bench", "koala"))
        subprocess.run(["go", "build", "-o", bench, "."], cwd=here, check=True)
        subprocess.run(["go", "build", "-o", koala, "./cmd/koala"], cwd=here.parent, check=True)
        subprocess.run([koala, "tokenizer", "export", "--format", "spm", "--out", model], check=True)
        subprocess.run([koala, "tokenizer", "export", "--format", "hf", "--out", model_hf], check=True)
        environ = dict(os.environ, TOKENIZERS_PARALLELISM="false")
        rounds = []
        for i in range(ROUNDS):
            go = subprocess.run([bench, *(["-peers"] if i == 0 else []), *corpora], check=True, capture_output=True, text=True)
            sys.stderr.write(go.stderr)
            peers = subprocess.run([python, "-c", PYTHON_PEERS, model, model_hf, *corpora], check=True, capture_output=True, text=True, env=environ)
            rounds.append({**json.loads(go.stdout), **json.loads(peers.stdout)})
            print(f"round {i + 1} of {ROUNDS}", file=sys.stderr)
    table([c.split("=", 1)[0] for c in corpora], rounds)


def table(names, rounds):
    def least(key):
        return min((r[key] for r in rounds if key in r), default=float("nan"))

    rows = [
        ("koala, first pass", "cold", "bytes", "sentencepiece"),
        ("koala, warm", "warm", "bytes", "sentencepiece"),
        ("sentencepiece", "sentencepiece", "bytes", "sentencepiece"),
        ("tokenizers", "tokenizers", "bytes", "sentencepiece"),
        ("koala, decode", "decode", "tokens", "sentencepiece-decode"),
        ("sentencepiece, decode", "sentencepiece-decode", "tokens", "sentencepiece-decode"),
        ("tokenizers, decode", "tokenizers-decode", "tokens", "sentencepiece-decode"),
    ]
    print("| | " + " | ".join(f"{n}: M/s | × sentencepiece" for n in names) + " |")
    print("|---|" + "---|---|" * len(names))
    for title, what, unit, base in rows:
        cells = []
        for n in names:
            seconds = least(f"{what} {n}")
            cells.append(f"{least(f'{unit} {n}') / seconds / 1e6:.1f} | {least(f'{base} {n}') / seconds:.1f}")
        print(f"| {title} | " + " | ".join(cells) + " |")
    for n in names:
        print(f"{n}: one document takes {least(f'document {n}') / least(f'lines {n}'):.2f} × the time of its lines; ", end="")
        print(f"2 workers are {least(f'workers 1 {n}') / least(f'workers 2 {n}'):.2f} × as fast as 1; ", end="")
        print(f"sugarme {least(f'sugarme bytes {n}') / least(f'sugarme {n}') / 1e6:.4f} MB/s")


main()

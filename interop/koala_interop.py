"""Shared by the checks: runs koala, counts facts, and reads and writes files with the original libraries.

A checkpoint in memory is a dict of numpy arrays by name: HF names, or EasyLM's keys joined by "/".
"""

import contextlib
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import ml_dtypes
import msgpack
import numpy as np
import safetensors
import torch
from flax import serialization

FIXTURES = pathlib.Path(os.environ["KOALA_FIXTURES"])
BF16, FP16, FP32 = np.dtype(ml_dtypes.bfloat16), np.dtype(np.float16), np.dtype(np.float32)
DTYPES = {"bf16": BF16, "fp16": FP16, "fp32": FP32}  # the names of koala's --dtype
HEADS = {"S": 4, "T": 3, "D": 2}
SAFETENSORS_NAMES = {
    "bfloat16": "BF16",
    "float16": "F16",
    "float32": "F32",
    "float64": "F64",
    "bool": "BOOL",
    "uint8": "U8",
    "int8": "I8",
    "int16": "I16",
    "int32": "I32",
    "int64": "I64",
}

failures = 0


@contextlib.contextmanager
def fact(name):
    """Prints whether a fact holds, and why not, and continues."""
    global failures
    try:
        yield
    except Exception as error:  # any exception of a library on koala's files is a failure
        failures += 1
        print(f"FAIL {name}: {' '.join((str(error) or repr(error)).split())[:500]}", flush=True)
    else:
        print(f"ok   {name}", flush=True)


def main(module):
    """Runs every check_* function of a module in an empty folder."""
    for name, check in list(module.items()):
        if name.startswith("check_"):
            with (
                tempfile.TemporaryDirectory() as folder,
                fact(f"{pathlib.Path(sys.argv[0]).stem}.{name} ran to its end"),
            ):
                check(pathlib.Path(folder))
    sys.exit(1 if failures else 0)


def koala(*args, text=""):
    """Runs koala with a text on standard input and returns its standard output."""
    command = [os.environ["KOALA_BIN"], *map(str, args)]
    done = subprocess.run(command, input=text.encode(), capture_output=True, timeout=300, check=False)
    if done.returncode != 0:
        raise AssertionError(f"koala {args[0]} ended with {done.returncode}: {done.stderr.decode()[-400:]}")
    return done.stdout.decode()


def read_json(path):
    return json.loads(pathlib.Path(path).read_text())


def expected(model, name):
    return read_json(FIXTURES / model / "expected" / name)


# Readers and writers: the original libraries, called like in the original tools.


def read_safetensors(path):
    with safetensors.safe_open(path, framework="pt") as file:
        return {name: to_numpy(file.get_tensor(name)) for name in file.keys()}


def read_hf(folder):
    index = folder / "model.safetensors.index.json"
    files = sorted(set(read_json(index)["weight_map"].values())) if index.exists() else ["model.safetensors"]
    tensors = {}
    for file in files:
        tensors |= read_safetensors(folder / file)
    return tensors


def to_numpy(tensor):
    if tensor.dtype == torch.bfloat16:
        return tensor.contiguous().view(torch.uint16).numpy().view(BF16)
    return tensor.contiguous().numpy()


def read_stream(path):
    """EasyLM's StreamingCheckpointer.load_checkpoint, which here also refuses repeated keys."""
    tensors = {}
    with open(path, "rb") as file:
        for key, value in msgpack.Unpacker(file, read_size=83886080, max_buffer_size=0):
            name = "/".join(key)
            assert name not in tensors, f"{name} is in {path.name} twice"
            tensors[name] = serialization.from_bytes(None, value)
    return tensors


def write_stream(path, tensors):
    """EasyLM's StreamingCheckpointer.save_train_state_to_file."""
    packer = msgpack.Packer()
    with open(path, "wb") as file:
        file.writelines(packer.pack((name.split("/"), serialization.to_bytes(t))) for name, t in tensors.items())


def nested(tensors):
    """Returns the tree that a flax file without streaming contains."""
    tree = {}
    for name, tensor in tensors.items():
        *path, leaf = name.split("/")
        node = tree
        for key in path:
            node = node.setdefault(key, {})
        node[leaf] = tensor
    return tree


# Comparisons. Each raises an error at the first difference.


def rows(tensors):
    """Returns the digest list of a checkpoint by name, in the format of the fixtures and of koala inspect."""
    return {
        name: {
            "dtype": SAFETENSORS_NAMES[t.dtype.name],
            "shape": list(t.shape),
            "sha256": hashlib.sha256(t.tobytes("C")).hexdigest(),
        }
        for name, t in tensors.items()
    }


def by_name(digest_list):
    return {r["name"]: {k: r[k] for k in ("dtype", "shape", "sha256")} for r in digest_list}


def same_rows(got, want):
    assert got.keys() == want.keys(), f"names differ: {sorted(got.keys() ^ want.keys())[:5]}"
    wrong = [name for name in want if got[name] != want[name]]
    assert not wrong, f"{len(wrong)} of {len(want)} tensors differ, {wrong[0]}: {got[wrong[0]]}, not {want[wrong[0]]}"


def same_values(got, want):
    """Checks that arrays have the same bits, except that all NaNs are equal."""
    assert got.keys() == want.keys(), f"names differ: {sorted(got.keys() ^ want.keys())[:5]}"
    for name, w in want.items():
        g = got[name]
        assert (g.dtype, g.shape) == (w.dtype, w.shape), f"{name}: {g.dtype}{g.shape}, not {w.dtype}{w.shape}"
        differ = (bits(g) != bits(w)) & ~(np.isnan(g) & np.isnan(w))
        if differ.any():
            at = tuple(int(i) for i in np.argwhere(differ)[0])
            raise AssertionError(
                f"{name}: {differ.sum()} of {differ.size} elements differ, at {list(at)} "
                f"{bits(g)[at]:#x} ({g[at]}), not {bits(w)[at]:#x} ({w[at]})"
            )


def same_bytes(path, want):
    got = path.read_bytes()
    if got != want:
        at = next((i for i, (a, b) in enumerate(zip(got, want)) if a != b), min(len(got), len(want)))
        raise AssertionError(f"{path.name}: {len(got)} bytes, not {len(want)}; the first difference is at {at}")


def bits(array):
    return array.view({2: np.uint16, 4: np.uint32, 8: np.uint64}[array.dtype.itemsize])


def one_nan(tensors):
    """Checks that NaN has one fixed pattern, so that the output does not depend on the machine."""
    seen = {int(b) for t in tensors.values() for b in np.unique(bits(t)[np.isnan(t)])}
    assert len(seen) == 1, f"NaN patterns {[hex(b) for b in sorted(seen)]}"

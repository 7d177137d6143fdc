"""Compares internal/gguf with the Python package gguf: type table, writer, reader and Q8_0 quantizer."""

import base64
import itertools
import json
import math
import os
import pathlib
import subprocess

import numpy as np
from gguf import GGUFReader, GGUFValueType, GGUFWriter
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType
from gguf.quants import dequantize, quantize
from koala_interop import FIXTURES, FP32, bits, fact, main, same_bytes

BLOCKS = int(os.environ.get("KOALA_ROUNDS", "100000"))  # number of blocks of each kind
Q8_0 = GGMLQuantizationType.Q8_0
KINDS = {
    "Text": (GGUFValueType.STRING, None),
    "Uint": (GGUFValueType.UINT32, None),
    "Float": (GGUFValueType.FLOAT32, None),
    "Truth": (GGUFValueType.BOOL, None),
    "Texts": (GGUFValueType.ARRAY, GGUFValueType.STRING),
    "Floats": (GGUFValueType.ARRAY, GGUFValueType.FLOAT32),
    "Ints": (GGUFValueType.ARRAY, GGUFValueType.INT32),
}


def probe(*args, stdin=b""):
    """Runs ggufprobe and builds it on the first call."""
    root = pathlib.Path(__file__).resolve().parent.parent
    program = pathlib.Path(os.environ["TMPDIR"]) / "ggufprobe"
    if not program.exists():
        subprocess.run(["go", "build", "-o", program, "./interop/ggufprobe"], cwd=root, check=True)
    done = subprocess.run([program, *map(str, args)], input=stdin, capture_output=True, timeout=300, check=False)
    if done.returncode != 0:
        raise AssertionError(f"ggufprobe {args[0]} ended with {done.returncode}: {done.stderr.decode()[-400:]}")
    return done.stdout


def check_types(tmp):
    with fact("every type of ggml: number, name, elements and bytes of a block"):
        want = {t.value: [t.value, t.name, *GGML_QUANT_SIZES[t]] for t in GGMLQuantizationType}
        assert json.loads(probe("types")) == [want[number] for number in sorted(want)]


# Files. A tensor is (name, type, shape, bytes), the outermost dimension first.


def tensors_of(rng, types, shapes):
    """Returns a tensor of random bytes for each type and shape. Rows are rounded up to whole blocks."""
    for number, (t, shape) in enumerate(itertools.product(types, shapes)):
        block, size = GGML_QUANT_SIZES[t]
        if not shape and t.name not in NATIVE:
            continue  # the writer and the reader use rows of bytes for these types
        shape = [*shape[:-1], shape[-1] * block] if shape else []
        n = math.prod(shape) // block * size
        yield f"blk.{number}.{t.name}", t, shape, rng.integers(0, 256, n, dtype=np.uint8).tobytes()


def byte_shape(t, shape):
    block, size = GGML_QUANT_SIZES[t]
    return [*shape[:-1], shape[-1] // block * size]


NATIVE = {"F32": np.float32, "F16": np.float16, "F64": np.float64, "I8": np.int8, "I16": np.int16, "I32": np.int32, "I64": np.int64}


def array(t, shape, data):
    """Returns the array that the writer takes, and the reader returns, for a tensor."""
    if t.name in NATIVE:
        return np.frombuffer(data, dtype=NATIVE[t.name]).reshape(shape)
    return np.frombuffer(data, dtype=np.uint8).reshape(byte_shape(t, shape))


def reference(path, pairs, tensors, alignment=None):
    """Returns the file that gguf writes; pairs are (key, value, type, type of the items)."""
    writer = GGUFWriter(path, "llama")
    if alignment:
        writer.add_custom_alignment(alignment)
    for key, value, kind, items in pairs:
        writer.add_key_value(key, value, kind, items)
    for name, t, shape, data in tensors:
        writer.add_tensor(name, array(t, shape, data), raw_dtype=t)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def same_file(path, pairs, tensors):
    """Returns what gguf reads from a file."""
    reader = GGUFReader(path)
    fields = {name: f for name, f in reader.fields.items() if not name.startswith("GGUF.")}
    assert list(fields) == [key for key, *_ in pairs], f"keys are {list(fields)}"
    for key, value, kind, items in pairs:
        types = [kind] if items is None else [kind, items]
        assert fields[key].types == types, f"{key} is of {fields[key].types}"
        assert fields[key].contents() == value, f"{key} is {fields[key].contents()}"
    assert [x.name for x in reader.tensors] == [name for name, *_ in tensors]
    for x, (name, t, shape, data) in zip(reader.tensors, tensors, strict=True):
        assert x.tensor_type == t and x.shape.tolist() == shape[::-1], f"{name} is {x.tensor_type.name} {x.shape}"
        assert x.data.tobytes() == data, f"{name} has other data"


ARCHITECTURE = ("general.architecture", "llama", GGUFValueType.STRING, None)


def made(seed):
    """Returns values of every kind that koala writes. All numbers are exact in float32."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 400))
    values = {
        "Text": "{% for message in messages %}é🦙\n\x00" * 10,
        "Uint": int(rng.integers(0, 1 << 32)),
        "Float": float(np.float32(rng.normal())),
        "Truth": bool(seed % 2),
        "Texts": ["", "<s>", "▁the", *("x" * int(k) for k in rng.integers(0, 30, n))],
        "Floats": [float(x) for x in rng.normal(size=n).astype(FP32)],
        "Ints": [int(x) for x in rng.integers(-(1 << 31), 1 << 31, n)],
    }
    return [(f"llama.{kind}.{seed}", kind, value) for kind, value in values.items()]


def check_written(tmp):
    """Compares files that Go makes from values and tensors with the writer's bytes and the reader's fields."""
    types = [GGMLQuantizationType[t] for t in ("F32", "F16", "BF16", "Q8_0")]
    for seed, shapes in enumerate([[], [[1]], [[3, 5], [], [7]], [[2, 3, 4], [1, 2, 3, 4], [64, 64]]]):
        tensors = list(tensors_of(np.random.default_rng(seed), types, shapes))
        values = [("general.architecture", "Text", "llama"), *made(seed)]
        description = {
            "pairs": [{"key": key, kind: value} for key, kind, value in values],
            "tensors": [{"name": n, "dtype": t.name, "shape": s, "data": base64.b64encode(d).decode()} for n, t, s, d in tensors],
        }
        ours, theirs = tmp / f"{seed}.gguf", tmp / f"{seed}.reference.gguf"
        pairs = [(key, value, *KINDS[kind]) for key, kind, value in values]
        with fact(f"gguf file of {len(tensors)} tensors made by koala's writer: gguf's own, byte for byte"):
            probe("write", ours, stdin=json.dumps(description).encode())
            reference(theirs, pairs[1:], tensors)
            same_bytes(ours, theirs.read_bytes())
        with fact(f"gguf file of {len(tensors)} tensors made by koala's writer: read by GGUFReader"):
            same_file(ours, pairs, tensors)


def check_rewritten(tmp):
    """Reads files of gguf and writes them again, with every type, alignment and kind of value."""
    t = GGUFValueType
    numbers = [
        ("u8", 255, t.UINT8), ("i8", -128, t.INT8), ("u16", 65535, t.UINT16), ("i16", -32768, t.INT16), ("u32", 2**32 - 1, t.UINT32),
        ("i32", -(2**31), t.INT32), ("f32", 0.5, t.FLOAT32), ("u64", 2**64 - 1, t.UINT64), ("i64", -(2**63), t.INT64), ("f64", 0.1, t.FLOAT64), ("b", True, t.BOOL),
    ]  # fmt: skip
    pairs = [(f"one.{key}", value, kind, None) for key, value, kind in numbers]
    pairs += [(f"some.{key}", [value] * 3, t.ARRAY, kind) for key, value, kind in numbers]
    shapes = [[1], [3], [2, 3], [2, 1, 3], [1, 2, 1, 5], []]
    for alignment in (None, 1, 2, 8, 16, 32, 64, 256, 4096, 65536):
        tensors = list(tensors_of(np.random.default_rng(alignment), GGMLQuantizationType, shapes))
        with fact(f"gguf file of {len(tensors)} tensors of every type, aligned to {alignment}: read and written again"):
            reference(tmp / "in", pairs, tensors, alignment)
            probe("rewrite", tmp / "in", tmp / "out")
            same_bytes(tmp / "out", (tmp / "in").read_bytes())
            aligned = [("general.alignment", alignment, t.UINT32, None)] if alignment else []
            same_file(tmp / "out", [ARCHITECTURE, *aligned, *pairs], tensors)
    with fact("gguf file written tensor by tensor, or by way of a temporary file: read and written again"):
        tensors = list(tensors_of(np.random.default_rng(1), [GGMLQuantizationType.F16, Q8_0], shapes))
        for temporary in (False, True):
            writer = GGUFWriter(tmp / "in", "llama", use_temp_file=temporary)
            for name, kind, shape, data in tensors:
                whole = array(kind, shape, data)
                if temporary:
                    writer.add_tensor(name, whole, raw_dtype=kind)
                else:
                    writer.add_tensor_info(name, whole.shape, whole.dtype, whole.nbytes, raw_dtype=kind)
            writer.write_header_to_file()
            writer.write_kv_data_to_file()
            if temporary:
                writer.write_tensors_to_file()
            else:
                writer.write_ti_data_to_file()
                for _, kind, shape, data in tensors:
                    writer.write_tensor_data(array(kind, shape, data))
            writer.close()
            probe("rewrite", tmp / "in", tmp / "out")
            same_bytes(tmp / "out", (tmp / "in").read_bytes())
    with fact("gguf file of metadata alone: read and written again with its padding"):
        writer = GGUFWriter(tmp / "vocabulary", "llama")
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.close()
        probe("rewrite", tmp / "vocabulary", tmp / "out")
        head = (tmp / "vocabulary").read_bytes()
        same_bytes(tmp / "out", head + bytes(-len(head) % 32))
    with fact("gguf fixture: read and written again"):
        fixture = FIXTURES / "S/recovered/recovered-bf16.gguf"
        probe("rewrite", fixture, tmp / "out")
        same_bytes(tmp / "out", fixture.read_bytes())


# Q8_0.


def numbers(rng, n):
    """Returns kinds of blocks of 32 finite numbers."""
    patterns = rng.integers(0, 1 << 32, (n, 32), dtype=np.uint32)
    finite = np.where(patterns & 0x7F800000 == 0x7F800000, patterns & 0xBFFFFFFF, patterns).view(FP32)
    scales = np.exp2(rng.uniform(-150, 127.9, (n, 1))).astype(FP32)
    near = (scales * rng.uniform(-1, 1, (n, 32)).astype(FP32)).astype(FP32)
    exponents = rng.integers(-140, 120, (n, 1))
    ties = np.ldexp(rng.integers(-254, 255, (n, 32)) / 2, exponents).astype(FP32)
    ties[:, 7] = np.ldexp(127, exponents[:, 0]).astype(FP32)
    beside = (bits(ties) + rng.integers(-1, 2, (n, 32)).astype(np.uint32)).astype(np.uint32).view(FP32)
    beside[~np.isfinite(beside)] = 0
    yield "any bits", finite
    yield "weights", (rng.normal(size=(n, 32)) * 0.02).astype(FP32)
    yield "every magnitude", near
    yield "ties", ties
    yield "beside ties", beside
    yield "subnormals", (patterns & 0x80FFFFFF).view(FP32)
    edge = (bits(np.full((n, 32), np.float32(127 * 2.0**-128))) + rng.integers(-4000, 4000, (n, 32)).astype(np.uint32)).astype(np.uint32)
    yield "where 1/d becomes infinite", edge.view(FP32)
    zeros = np.zeros((n, 32), FP32)
    zeros[rng.random((n, 32)) < 0.5] = -0.0
    zeros[rng.random((n, 32)) < 0.05] = 1.5
    yield "zeros of both signs", zeros
    yield "scales above F16", rng.uniform(-3e38, 3e38, (n, 32)).astype(FP32)
    with_infinity = near.copy()
    with_infinity[np.arange(n), rng.integers(0, 32, n)] = np.where(rng.random(n) < 0.5, np.inf, -np.inf)
    yield "infinities", with_infinity
    with_nan = near.copy()
    with_nan[np.arange(n), rng.integers(0, 32, n)] = np.nan
    yield "the quiet NaN", with_nan


def check_quantize(tmp):
    with np.errstate(all="ignore"):
        for name, blocks in numbers(np.random.default_rng(7), BLOCKS):
            with fact(f"Q8_0 of {blocks.size} numbers ({name}): gguf's bytes"):
                want = quantize(blocks, Q8_0)
                got = np.frombuffer(probe("quantize", stdin=blocks.tobytes()), np.uint8).reshape(want.shape)
                wrong = np.flatnonzero((got != want).any(axis=1))
                assert not wrong.size, f"{wrong.size} blocks differ, {blocks[wrong[0]].tolist()}: {got[wrong[0]]}, not {want[wrong[0]]}"


def check_dequantize(tmp):
    """Checks each of the 2^24 products."""
    blocks = np.zeros((1 << 16, 8, 34), np.uint8)
    blocks[:, :, :2] = np.arange(1 << 16, dtype=np.uint16).view(np.uint8).reshape(-1, 1, 2)
    blocks[:, :, 2:] = np.arange(256, dtype=np.uint8).reshape(8, 32)
    blocks = blocks.reshape(-1, 34)
    with fact("F32 of every scale and byte of Q8_0: gguf's numbers"), np.errstate(all="ignore"):
        want = dequantize(blocks, Q8_0)
        got = np.frombuffer(probe("dequantize", stdin=blocks.tobytes()), FP32).reshape(want.shape)
        differ = (bits(got) != bits(want)) & ~(np.isnan(got) & np.isnan(want))
        assert not differ.any(), f"{differ.sum()} numbers differ"
        assert {int(b) for b in np.unique(bits(got)[np.isnan(got)])} == {0x7FC00000}, "NaN has several patterns"


if __name__ == "__main__":
    main(globals())

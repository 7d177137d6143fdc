"""Compares koala inspect --json --digest with what the original libraries wrote or read."""

import json

import numpy as np
import safetensors.torch
import torch
from flax import serialization

import hf_model
from koala_interop import (
    BF16,
    FIXTURES,
    FP16,
    FP32,
    by_name,
    fact,
    koala,
    main,
    nested,
    read_hf,
    read_safetensors,
    read_stream,
    rows,
    same_rows,
    to_numpy,
    write_stream,
)


def agrees(path, tensors, complete):
    """Compares names, dtypes, shapes and digests, and checks whether the model is complete."""
    report = json.loads(koala("inspect", "--json", "--digest", path))
    same_rows(by_name(report["tensors"]), rows(tensors))
    assert report["complete"] is complete, f"complete is {report['complete']}"
    if complete:
        assert report["parameters"] == sum(t.size for t in tensors.values()), report["parameters"]
    assert report["format"], "no format"


def check_fixtures(tmp):
    for model, base, read in [
        ("S", "hf-safetensors/model.safetensors", read_safetensors),
        ("S", "hf-safetensors", read_hf),
        ("S", "hf-safetensors-sharded", read_hf),
        ("T", "hf-safetensors-sharded", read_hf),
        ("S", "easylm-fp16.stream", read_stream),
        ("S", "easylm-fp32.stream", read_stream),
        ("D", "easylm-fp16.chunked.stream", read_stream),
    ]:
        with fact(f"inspect {model}/{base}"):
            path = FIXTURES / model / "base" / base
            agrees(path, read(path), complete=True)


def check_safetensors_of_other_types(tmp):
    g = torch.Generator().manual_seed(1)
    tensors = {
        "f64": torch.randn(3, 5, dtype=torch.float64, generator=g),
        "f32.scalar": torch.tensor(1.5),
        "bf16": torch.randn(7, generator=g).bfloat16(),
        "f16/with/slashes": torch.randn(2, 3, 4, generator=g).half(),
        "i64": torch.tensor([-(2**63), 2**63 - 1]),
        "i32": torch.arange(5, dtype=torch.int32),
        "i16": torch.arange(3, dtype=torch.int16),
        "i8": torch.arange(-3, 4, dtype=torch.int8),
        'u8 é "quoted"': torch.arange(9, dtype=torch.uint8),
        "bool": torch.tensor([True, False, True]),
        "empty": torch.zeros(0, 4),
    }
    safetensors.torch.save_file(tensors, tmp / "any.safetensors", metadata={"made": "by safetensors"})
    with fact("inspect a safetensors file of ten types that is no LLaMA"):
        agrees(tmp / "any.safetensors", {name: to_numpy(t) for name, t in tensors.items()}, complete=False)


def check_transformers(tmp):
    hf_model.random_model(layers=3, heads=4).bfloat16().save_pretrained(tmp / "m", max_shard_size="20KB")
    with fact("inspect what transformers saved in shards"):
        agrees(tmp / "m", read_hf(tmp / "m"), complete=True)


def check_flax(tmp):
    rng = np.random.default_rng(1)
    tensors = {
        "a/kernel": rng.normal(size=(300, 3)).astype(FP16),
        "a/bias": rng.normal(size=17).astype(BF16),
        "b/10/f32": rng.normal(size=(2, 3, 4)).astype(FP32),
        "b/9/f64": rng.normal(size=4),
        "count": np.array(7, dtype=np.int32),
        "mask": np.array([[True], [False]]),
        "bytes": np.arange(200, dtype=np.uint8),
        "empty": np.zeros((0, 5), dtype=np.int64),
    }
    write_stream(tmp / "stream", tensors)
    (tmp / "map").write_bytes(serialization.to_bytes(nested(tensors)))
    serialization.MAX_CHUNK_SIZE = 100  # flax's default is 2^30 bytes
    write_stream(tmp / "chunked stream", tensors)
    assert b"__msgpack_chunked_array__" in (tmp / "chunked stream").read_bytes()
    (tmp / "chunked map").write_bytes(serialization.to_bytes(nested(tensors)))
    for name in ("stream", "map", "chunked stream", "chunked map"):
        with fact(f"inspect flax's {name} of eight types that is no LLaMA"):
            agrees(tmp / name, tensors, complete=False)


if __name__ == "__main__":
    main(globals())

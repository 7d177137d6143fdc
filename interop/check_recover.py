"""Checks the output of koala recover on the fixtures with safetensors, transformers and flax."""

import hashlib

import safetensors.torch
import torch

import hf_model
from koala_interop import (
    DTYPES,
    FIXTURES,
    HEADS,
    by_name,
    expected,
    fact,
    koala,
    main,
    read_hf,
    read_json,
    read_safetensors,
    read_stream,
    rows,
    same_bytes,
    same_rows,
    write_stream,
)

# Bases that contain the number of heads, and bases in EasyLM's layout, which do not.
BASES = [
    ("S", "hf-safetensors"),
    ("S", "hf-safetensors-2023"),
    ("S", "hf-safetensors-sharded"),
    ("T", "hf-safetensors-sharded"),
    ("D", "hf-safetensors"),
    ("S", "hf-bin"),
    ("S", "hf-bin-sharded"),
    ("S", "hf-bin-strided"),
    ("S", "meta-1"),
    ("S", "meta-2"),
    ("S", "meta-views"),
    ("T", "meta-3"),
    ("D", "hf-bin-parameters"),
    ("D", "hf-bin-statedict"),
    ("D", "meta-1"),
]
EASYLM_BASES = [
    ("S", "easylm-fp16.stream"),
    ("S", "easylm-fp16.flax"),
    ("S", "easylm-fp32.stream"),
    ("D", "easylm-fp16.stream"),
    ("D", "easylm-fp16.chunked.stream"),
    ("D", "easylm-fp16.trainstate"),
]


def recover(model, base, out, *flags):
    folder = FIXTURES / model
    koala("recover", "--base", folder / "base" / base, "--diff", folder / "diff/diff-bf16.stream", "--out", out, *flags)
    return out


def check_hugging_face(tmp):
    for model, base in BASES + EASYLM_BASES:
        title = f"recover {model}/{base}"
        heads = ["--heads", HEADS[model]] if (model, base) in EASYLM_BASES else []
        out = tmp / f"{model}-{base}"
        with fact(f"{title}: runs"):
            recover(model, base, out, *heads)
        if not out.exists():
            continue
        with fact(f"{title}: safetensors reads every tensor's expected bytes"):
            same_rows(rows(read_hf(out)), by_name(expected(model, "recovered-bf16.hf.digests.json")))
        with fact(f"{title}: transformers loads it and gives the expected logits"):
            hf_model.gives_expected_logits(out, model)


def check_companions(tmp):
    """Checks config.json and generation_config.json, whether copied or generated."""
    tokens = expected("S", "logits.json")["tokens"]
    likeliest = expected("S", "logits.json")["models"]["recovered-bf16"]["top8"][-1][0][0]
    for base, *flags in [("hf-safetensors",), ("hf-safetensors-2023",), ("easylm-fp16.stream", "--heads", 4)]:
        with fact(f"recover S/{base}: transformers takes bf16 from config.json and generates"):
            model = hf_model.load(recover("S", base, tmp / base, *flags), dtype="auto")
            assert model.dtype == torch.bfloat16, model.dtype
            ids = (model.generation_config.bos_token_id, model.generation_config.eos_token_id)
            assert ids == (1, 2), f"bos and eos are {ids}"
            new = model.float().generate(torch.tensor([tokens]), max_new_tokens=1, do_sample=False)[0].tolist()
            assert new == [*tokens, likeliest], f"{new} does not end in {likeliest}"


def check_bytes(tmp):
    out = recover("S", "hf-safetensors", tmp / "out")
    with fact("recover: model.safetensors is byte for byte what the reference writer writes"):
        safetensors.torch.save_file(
            safetensors.torch.load_file(out / "model.safetensors"), tmp / "again", metadata={"format": "pt"}
        )
        same_bytes(out / "model.safetensors", (tmp / "again").read_bytes())


def check_dtypes(tmp):
    for model, base in [("S", "hf-safetensors"), ("T", "hf-safetensors-sharded"), ("D", "hf-safetensors")]:
        for dtype in ("fp16", "fp32"):
            with fact(f"recover {model} --dtype {dtype}: safetensors reads every tensor's expected bytes"):
                out = recover(model, base, tmp / f"{model}-{dtype}", "--dtype", dtype)
                same_rows(rows(read_hf(out)), by_name(expected(model, f"recovered-{dtype}.hf.digests.json")))


def check_easylm(tmp):
    for model, base in BASES + EASYLM_BASES:
        for dtype in DTYPES:
            title = f"recover {model}/{base} --format easylm --dtype {dtype}"
            out = tmp / f"{model}-{base}-{dtype}.stream"
            with fact(f"{title}: the reference's bytes"):
                recover(model, base, out, "--format", "easylm", "--dtype", dtype)
                want = expected(model, "streams.json")[f"recovered-{dtype}.stream"]
                got = {"sha256": hashlib.sha256(out.read_bytes()).hexdigest(), "bytes": out.stat().st_size}
                assert got == want, f"{got}, not {want}"
            with fact(f"{title}: flax reads every record, and writes the same file from them"):
                tensors = read_stream(out)
                same_rows(rows(tensors), by_name(expected(model, f"recovered-{dtype}.easylm.digests.json")))
                write_stream(tmp / "again", tensors)
                same_bytes(out, (tmp / "again").read_bytes())


def check_shards(tmp):
    # The largest tensors (22,528 bytes) do not fit in 20 KB and get shards of their own.
    for size in (20_000, 40_000, 100_000):
        title = f"recover S --shard-size {size // 1000}KB"
        out = tmp / str(size)
        with fact(f"{title}: runs"):
            recover("S", "hf-safetensors-sharded", out, "--shard-size", f"{size // 1000}KB")
        if not out.exists():
            continue
        with fact(f"{title}: the index says which shard each tensor is in, and nothing else is there"):
            index = read_json(out / "model.safetensors.index.json")
            shards = {path.name: read_safetensors(path) for path in sorted(out.glob("*.safetensors"))}
            n = len(shards)
            assert n > 1 and list(shards) == [f"model-{i + 1:05}-of-{n:05}.safetensors" for i in range(n)], list(shards)
            held = {name: shard for shard, tensors in shards.items() for name in tensors}
            assert index["weight_map"] == held, "weight_map differs from what the shards hold"
            total = sum(t.nbytes for tensors in shards.values() for t in tensors.values())
            assert index["metadata"]["total_size"] == total, index["metadata"]
        with fact(f"{title}: no shard is larger, unless of one tensor"):
            for name, tensors in shards.items():
                held = sum(t.nbytes for t in tensors.values())
                assert held <= size or len(tensors) == 1, f"{name} has {held} bytes in {len(tensors)} tensors"
        with fact(f"{title}: safetensors reads every tensor's expected bytes"):
            same_rows(rows(read_hf(out)), by_name(expected("S", "recovered-bf16.hf.digests.json")))
        with fact(f"{title}: transformers loads it and gives the expected logits"):
            hf_model.gives_expected_logits(out, "S")


if __name__ == "__main__":
    main(globals())

"""Checks that koala convert loses nothing between layouts and that koala diff makes the reference's diff."""

import hf_model
from koala_interop import (
    FIXTURES,
    HEADS,
    by_name,
    expected,
    fact,
    koala,
    main,
    read_hf,
    read_stream,
    rows,
    same_bytes,
    same_rows,
)


def check_round_trip(tmp):
    """Converts HF to EasyLM and back, and compares the EasyLM form with EasyLM's own conversion."""
    for model, base, easylm in [
        ("S", "hf-safetensors", "easylm-fp16.stream"),
        ("S", "hf-safetensors-2023", "easylm-fp16.stream"),
        ("T", "hf-safetensors-sharded", None),
        ("D", "hf-safetensors", "easylm-fp16.stream"),
    ]:
        title = f"convert {model}/{base}"
        stream, back = tmp / f"{model}-{base}.stream", tmp / f"{model}-{base}"
        original = FIXTURES / model / "base" / base
        with fact(f"{title} to easylm: flax reads it"):
            koala("convert", "--in", original, "--out", stream, "--format", "easylm")
            tensors = read_stream(stream)
            if easylm:
                same_rows(rows(tensors), rows(read_stream(FIXTURES / model / "base" / easylm)))
        with fact(f"{title} to easylm and back: every tensor bit for bit"):
            koala("convert", "--in", stream, "--out", back, "--heads", HEADS[model])
            same_rows(rows(read_hf(back)), by_name(expected(model, "base.hf.digests.json")))
        with fact(f"{title} to easylm and back: transformers gives the base's logits"):
            hf_model.gives_expected_logits(back, model, "base")


def check_flax_file(tmp):
    with fact("convert S/easylm-fp16.flax: every tensor bit for bit"):
        koala("convert", "--in", FIXTURES / "S/base/easylm-fp16.flax", "--out", tmp / "s", "--heads", 4)
        same_rows(rows(read_hf(tmp / "s")), by_name(expected("S", "base.hf.digests.json")))


def check_transformers_of_today(tmp):
    """Converts a model that the pinned transformers saved in shards, and converts it back."""
    hf_model.random_model(layers=11, heads=2).half().save_pretrained(tmp / "saved", max_shard_size="50KB")
    koala("convert", "--in", tmp / "saved", "--out", tmp / "stream", "--format", "easylm")
    koala("convert", "--in", tmp / "stream", "--out", tmp / "back", "--heads", 2)
    with fact("convert what transformers saved, there and back: every tensor bit for bit"):
        same_rows(rows(read_hf(tmp / "back")), rows(read_hf(tmp / "saved")))
    with fact("convert what transformers saved, there and back: the very same logits"):
        a, b = (hf_model.logits(hf_model.load(tmp / d), range(30)) for d in ("saved", "back"))
        assert (a == b).all(), f"off by {abs(a - b).max()}"


def check_diff(tmp):
    target = ["--target", FIXTURES / "S/target/target-fp32.stream", "--format", "easylm"]
    for base in ("hf-safetensors", "hf-safetensors-sharded", "easylm-fp16.stream", "easylm-fp16.flax"):
        with fact(f"diff S/{base}: the reference's bytes"):
            out = tmp / f"{base}.stream"
            koala("diff", "--base", FIXTURES / "S/base" / base, *target, "--out", out)
            same_bytes(out, (FIXTURES / "S/diff/diff-bf16.stream").read_bytes())
    with fact("diff S --dtype fp32: flax reads every tensor's expected bytes"):
        out = tmp / "fp32.stream"
        koala("diff", "--base", FIXTURES / "S/base/hf-safetensors", *target, "--out", out, "--dtype", "fp32")
        same_rows(rows(read_stream(out)), by_name(expected("S", "diff-fp32.easylm.digests.json")))


if __name__ == "__main__":
    main(globals())

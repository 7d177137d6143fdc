"""Compares rounding and addition with numpy and ml_dtypes on random tensors: all exponents, subnormals, inf, NaN."""

import numpy as np

from koala_interop import (
    BF16,
    DTYPES,
    FP16,
    FP32,
    bits,
    fact,
    koala,
    main,
    one_nan,
    read_stream,
    same_values,
    write_stream,
)

np.seterr(all="ignore")  # overflow and NaN are intended

DIM, FFN, VOCAB, LAYERS = 64, 96, 1024, 2


def shapes():
    yield "transformer/wte/embedding", (VOCAB, DIM)
    for i in range(LAYERS):
        h = f"transformer/h/{i}"
        for w in ("wq", "wk", "wv", "wo"):
            yield f"{h}/attention/{w}/kernel", (DIM, DIM)
        yield f"{h}/feed_forward/w1/kernel", (DIM, FFN)
        yield f"{h}/feed_forward/w2/kernel", (FFN, DIM)
        yield f"{h}/feed_forward/w3/kernel", (DIM, FFN)
        yield f"{h}/attention_norm/kernel", (DIM,)
        yield f"{h}/ffn_norm/kernel", (DIM,)
    yield "transformer/ln_f/kernel", (DIM,)
    yield "lm_head/kernel", (DIM, VOCAB)


def checkpoint(seed, dtype, norm):
    """Makes a LLaMA checkpoint with EasyLM's names. Norm weights are near `norm`, by which koala tells models from diffs."""
    rng = np.random.default_rng(seed)
    return {
        name: (norm + rng.normal(size=shape) / 64).astype(dtype) if len(shape) == 1 else patterns(rng, shape, dtype)
        for name, shape in shapes()
    }


def patterns(rng, shape, dtype):
    n = int(np.prod(shape))
    if dtype == FP32:
        values = rng.integers(0, 1 << 32, n, dtype=np.uint32).view(FP32)
    else:
        # Each of the 65,536 patterns once, if the tensor is large enough.
        values = rng.permutation(np.arange(max(n, 1 << 16), dtype=np.uint32).astype(np.uint16))[:n].view(dtype)
    # Half of the values are in fp16's range, so that both operands affect the sum.
    near = (rng.choice([-1, 1], n) * (1 + rng.random(n)) * np.exp2(rng.integers(-28, 17, n))).astype(dtype)
    # Some fp32 values are a tie of bf16 (16 bits dropped) or fp16 (13 bits), or one bit next to it.
    if dtype == FP32:
        dropped = rng.choice([13, 16], n)
        tie = (bits(near) >> dropped << dropped) + (1 << dropped - 1) + rng.integers(-1, 2, n)
        near = tie.astype(np.uint32).view(FP32)
    # The two largest tensors hold all patterns and keep them.
    keep = n >= 1 << 16 and dtype != FP32
    return values.reshape(shape) if keep else np.where(rng.random(n) < 0.5, values, near).reshape(shape)


def reference(op, a, b, dtype):
    """Applies EasyLM's rule: numpy's promotion, then rounding to the output type."""
    if a.dtype != b.dtype:
        a, b = a.astype(FP32), b.astype(FP32)
    return op(a, b).astype(dtype)


PAIRS = [(FP16, BF16), (FP16, FP16), (BF16, BF16), (FP32, BF16), (FP16, FP32), (FP32, FP32)]


def result(out, dtype, *command):
    """Returns what flax reads from koala's output."""
    koala(*command, "--out", out, "--format", "easylm", "--dtype", dtype, "--allow-nonfinite")
    return read_stream(out)


def check_recover(tmp):
    sums(tmp, "recover", "--base", "--diff", np.add, 0)


def check_diff(tmp):
    sums(tmp, "diff", "--base", "--target", lambda base, target: np.subtract(target, base), 1)


def sums(tmp, verb, first, second, op, norm):
    """Recover adds a diff, whose norm weights are near 0, to a base; diff takes a base from a target, near 1."""
    for seed, (x, y) in enumerate(PAIRS):
        a, b = checkpoint(seed, x, 1), checkpoint(100 + seed, y, norm)
        write_stream(tmp / "a", a)
        write_stream(tmp / "b", b)
        inputs = [first, tmp / "a", second, tmp / "b"]
        if x == BF16:  # koala refuses such a base, because it was rounded
            inputs += ["--allow", "rounded"]
        for dtype, into in DTYPES.items():
            with fact(f"{verb} random {x} and {y} to {dtype}: numpy's result in every element"):
                got = result(tmp / f"{seed}-{dtype}", dtype, verb, *inputs)
                same_values(got, {name: reference(op, a[name], b[name], into) for name in sorted(a)})
                one_nan(got)


def check_transposed(tmp):
    """The same sums where a side is in Hugging Face's layout (check_convert.py shows that the layouts are right)."""
    a, b = checkpoint(1, FP16, 1), checkpoint(2, BF16, 0)
    write_stream(tmp / "a", a)
    write_stream(tmp / "b", b)
    for name in ("a", "b"):
        koala("convert", "--in", tmp / name, "--out", tmp / f"{name}-hf", "--heads", 4, "--allow-nonfinite")
    for x, y in [("a-hf", "b"), ("a", "b-hf"), ("a-hf", "b-hf")]:
        for dtype, into in DTYPES.items():
            inputs = ["recover", "--base", tmp / x, "--diff", tmp / y]
            want = {name: reference(np.add, a[name], b[name], into) for name in sorted(a)}
            with fact(f"recover random {x} and {y} to {dtype} in EasyLM's layout: numpy's result in every element"):
                same_values(result(tmp / f"{x}{y}{dtype}", dtype, *inputs), want)
            with fact(
                f"recover random {x} and {y} to {dtype} in Hugging Face's layout: numpy's result in every element"
            ):
                hf = tmp / f"{x}{y}{dtype}-hf"
                koala(*inputs, "--out", hf, "--dtype", dtype, "--allow-nonfinite", "--heads", 4)
                same_values(result(tmp / f"{hf.name}-back", dtype, "convert", "--in", hf), want)


def check_convert(tmp):
    for seed, (name, x) in enumerate(DTYPES.items()):
        a = checkpoint(seed, x, 1)
        write_stream(tmp / "a", a)
        for dtype, into in DTYPES.items():
            if into != x:
                with fact(f"convert random {name} to {dtype}: numpy's result in every element"):
                    got = result(tmp / f"{name}-{dtype}", dtype, "convert", "--in", tmp / "a")
                    same_values(got, {key: t.astype(into) for key, t in a.items()})


if __name__ == "__main__":
    main(globals())

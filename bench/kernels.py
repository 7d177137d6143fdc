"""Measures the sums and conversions of internal/half in numpy with ml_dtypes and in
torch, on arrays of the same size, in one thread. Prints lines in Go's benchmark
format, which can be compared with those of the Go benchmark: see bench/kernels."""

import time

import ml_dtypes
import numpy as np
import torch

torch.set_num_threads(1)
BYTES = 256 << 20  # size of a 16-bit array
N = BYTES // 2


def report(name, size, run):
    run()
    times = []
    while len(times) < 3:
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    best = min(times)
    print(f"BenchmarkPeer/{name} {len(times)} {best * 1e9:.0f} ns/op {size / best / 1e6:.2f} MB/s", flush=True)


def main():
    rng = np.random.default_rng(1)
    few = (rng.standard_normal(1 << 20, dtype=np.float32) * 0.02)
    a = np.resize(few.astype(np.float16), N)
    b = np.resize(few.astype(ml_dtypes.bfloat16), N)
    report("numpy add F16 BF16 to BF16", BYTES, lambda: (a.astype(np.float32) + b.astype(np.float32)).astype(ml_dtypes.bfloat16))
    report("numpy add F16 F16 to F16", BYTES, lambda: a + a)
    report("numpy convert F16 to BF16", BYTES, lambda: a.astype(ml_dtypes.bfloat16))

    x = torch.from_numpy(a)
    y = torch.from_numpy(b.view(np.int16)).view(torch.bfloat16)
    report("torch add F16 BF16 to BF16", BYTES, lambda: (x.float() + y.float()).to(torch.bfloat16))
    report("torch add F16 F16 to F16", BYTES, lambda: x + x)
    report("torch convert F16 to BF16", BYTES, lambda: x.to(torch.bfloat16))
    rows, cols = 4096, 11008
    m = x[: rows * cols].view(rows, cols)
    t = y[: rows * cols].view(cols, rows)
    report("torch 4096×11008 sum of turned", 2 * rows * cols, lambda: (m.float() + t.t().float()).to(torch.bfloat16))


main()

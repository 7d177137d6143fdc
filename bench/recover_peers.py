"""The floor and the one-pass scripts, with numpy and with torch, that
bench/recover.py compares koala with.

    python recover_peers.py floor OUT SIZE FILE…
    python recover_peers.py numpy|torch OUT BASE.json DIFF.json [sha256]

The floor reads the files and writes and syncs SIZE bytes, on all cores and
without arithmetic, like the floor of `go test ./diff -bench Recover`. It prints
its seconds. The scripts add a base in Hugging Face's layout (fp16) and a diff in
EasyLM's (bf16), and write one safetensors file. The JSON files are the output of
`koala inspect --json`, which has the offset of each tensor.
"""

import hashlib
import json
import os
import sys
import threading
import time

PIECE = 1 << 20


def floor(out, size, *files):
    size, workers = int(size), os.cpu_count()
    start = time.perf_counter()
    fd = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    os.posix_fallocate(fd, 0, size)

    def work(index):
        buffer = memoryview(bytearray(PIECE))
        for path in files:
            source = os.open(path, os.O_RDONLY)
            for off in range(index * PIECE, os.fstat(source).st_size, workers * PIECE):
                os.preadv(source, [buffer], off)
            os.close(source)
        for off in range(index * PIECE, size, workers * PIECE):
            os.pwrite(fd, buffer[:min(PIECE, size - off)], off)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(workers)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    os.fsync(fd)
    os.close(fd)
    print(time.perf_counter() - start)


class Pair:
    """The tensors of both inputs, by the weight that they store."""

    def __init__(self, base, diff):
        self.base, self.diff = (json.load(open(path)) for path in (base, diff))
        self.heads = self.base["config"]["heads"]
        self.files = {}
        self.by_param = {t["param"]: t for t in self.diff["tensors"]}

    def __iter__(self):
        """Yields each tensor of the base with that of the diff, in the base's order."""
        for t in sorted(self.base["tensors"], key=lambda t: t["offset"]):
            yield t, self.by_param[t["param"]]

    def read(self, side, tensor, np):
        """Returns the bits of a tensor as 16-bit words."""
        root = side["path"] if os.path.isfile(side["path"]) else os.path.join(side["path"], tensor["file"])
        if root not in self.files:
            self.files[root] = open(root, "rb", buffering=0)
        data = np.empty(tensor["shape"], np.uint16)
        view, at = memoryview(data).cast("B"), 0
        while at < len(view):
            at += os.preadv(self.files[root].fileno(), [view[at:]], tensor["offset"] + at)
        return data


class Output:
    """A safetensors file in bf16 with the names and shapes of the base."""

    def __init__(self, path, pair, digest):
        header, at = {"__metadata__": {"format": "pt"}}, 0
        for t, _ in pair:
            header[t["name"]] = {"dtype": "BF16", "shape": t["shape"], "data_offsets": [at, at + t["bytes"]]}
            at += t["bytes"]
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        self.file, self.sum = open(path, "wb", buffering=0), hashlib.sha256() if digest else None
        self.write(len(text).to_bytes(8, "little") + text)

    def write(self, data):
        view = memoryview(data).cast("B")
        if self.sum:
            self.sum.update(view)
        while view:
            view = view[self.file.write(view):]

    def close(self):
        os.fsync(self.file.fileno())
        self.file.close()
        if self.sum:
            print(self.sum.hexdigest())


def with_numpy(pair, out):
    import ml_dtypes
    import numpy as np

    rows, cols = 128, 512  # a tile of 64 Ki elements
    for b, d in pair:
        base, diff = pair.read(pair.base, b, np), pair.read(pair.diff, d, np)
        result = np.empty(base.shape, np.uint16)
        if base.ndim == 1:
            base, diff, result = (x[None, :] for x in (base, diff, result))
        turned = ".kernel" in d["name"].replace("/", ".") and base.shape[0] > 1
        rotary = d["name"].endswith(("wq/kernel", "wk/kernel"))
        order = np.arange(base.shape[0])
        if rotary:  # within a head, Hugging Face stores the even rows first, then the odd ones
            order = order.reshape(pair.heads, -1, 2).transpose(0, 2, 1).reshape(-1)
        for r in range(0, base.shape[0], rows):
            for c in range(0, base.shape[1], cols):
                at = (slice(r, r + rows), slice(c, c + cols))
                tile = base[at]
                if rotary:
                    other = diff[at[1]][:, order[at[0]]].T
                else:
                    other = diff[at[1], at[0]].T if turned else diff[at]
                # A bf16 number is the upper half of an fp32 number.
                other = np.left_shift(other, 16, dtype=np.uint32, order="C").view(np.float32)
                other += tile.view(np.float16)
                result[at] = other.astype(ml_dtypes.bfloat16).view(np.uint16)
        out.write(result)


def with_torch(pair, out):
    import numpy as np
    import torch

    with torch.inference_mode():
        for b, d in pair:
            base = torch.from_numpy(pair.read(pair.base, b, np)).view(torch.float16)
            diff = torch.from_numpy(pair.read(pair.diff, d, np)).view(torch.bfloat16)
            if base.ndim == 2 and d["name"].endswith("kernel"):
                diff = diff.T
            if d["name"].endswith(("wq/kernel", "wk/kernel")):
                rows, cols = diff.shape
                diff = diff.reshape(pair.heads, -1, 2, cols).transpose(1, 2).reshape(rows, cols)
            out.write((base + diff.float()).bfloat16().contiguous().view(torch.int16).numpy())


def main():
    what, *args = sys.argv[1:]
    if what == "floor":
        floor(*args)
        return
    pair = Pair(args[1], args[2])
    out = Output(args[0], pair, args[3:] == ["sha256"])
    {"numpy": with_numpy, "torch": with_torch}[what](pair, out)
    out.close()


if __name__ == "__main__":
    main()

"""Compares internal/torchfile with torch: it reads what torch.save writes, and torch.load reads what it writes.

The Go part is TestInterop of that package. It reads every .pt file of a folder, describes the tensors in a .json file,
and writes them again to a .koala file.
"""

import collections
import os
import pathlib
import pickle
import subprocess
import zipfile

import torch
from torch.utils.serialization import config

from koala_interop import SAFETENSORS_NAMES, fact, main, read_json

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent


def koala_reads(folder):
    command = ["go", "test", "./internal/torchfile", "-run", "^TestInterop$", "-count=1"]
    done = subprocess.run(command, cwd=REPOSITORY, env=os.environ | {"KOALA_TORCH": str(folder)}, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout.decode()[-2000:] + done.stderr.decode()[-500:]


def row(name, tensor):
    t = tensor.detach().contiguous()
    raw = t.reshape(-1).view(torch.uint8).numpy().tobytes() if t.numel() else b""
    dtype = "BF16" if t.dtype == torch.bfloat16 else SAFETENSORS_NAMES[str(t.dtype).removeprefix("torch.")]
    return {"name": name, "dtype": dtype, "shape": list(t.shape), "data": raw.hex()}


def flat(tree, prefix=""):
    """Returns the tensors of nested dictionaries by their keys, joined by dots."""
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{key}.")
        elif isinstance(value, torch.Tensor):
            yield row(f"{prefix}{key}", value)


def cases():
    g = torch.Generator().manual_seed(1)

    def random(*shape, dtype=torch.float16):
        return torch.randn(*shape, generator=g).to(dtype)

    base = random(12, 10)
    linear = torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.BatchNorm1d(7))
    optimizer = torch.optim.AdamW(linear.parameters())
    linear(torch.randn(4, 5, generator=g)).sum().backward()
    optimizer.step()
    yield "types", {str(d): torch.arange(6).reshape(2, 3).to(d) for d in [
        torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool]}
    yield "views", {"all": base, "rows": base[3:7], "columns": base[:, 2:5], "second": base[::2, ::3], "turned": base.t(), "part": base.t()[1:4],
                    "one": base[3, 4], "empty": base[:0], "flat": base.view(-1)[5:50], "diagonal": base.diagonal(), "permuted": base.view(3, 4, 10).permute(2, 0, 1)}
    yield "turned", {"a": random(37, 53).t(), "b": random(300, 200, dtype=torch.bfloat16).t(), "c": random(64, 1).t()}
    yield "large-strides", {"a": random(3000, 40).t(), "b": random(40, 3000).t(), "c": random(50, 60, 70).permute(2, 1, 0), "d": random(200, 5000)[:, ::7]}
    yield "expanded", {"a": base, "broadcast": random(10, 4)[0].expand(1, 4)}
    yield "shared", {"a": base, "b": base, "tied": base.view(10, 12)}
    yield "scalars", {"a": torch.tensor(3.5), "b": torch.tensor(7), "c": torch.zeros(0), "d": torch.zeros(2, 0, 3)}
    yield "parameters", dict(linear.named_parameters())
    yield "state", linear.state_dict()
    yield "ordered", collections.OrderedDict(b=random(2), a=random(3))
    yield "training", {"model": linear.state_dict(), "optimizer": optimizer.state_dict(), "step": 7, "loss": [1.5, 2**70, None, True, "x"], "é": ()}
    for n in (0, 1, 999, 1000, 1001):
        yield f"many-{n}", {f"layer.{i}": random(i % 3, 2) for i in range(n)}


def save(path, tree, **how):
    torch.save(tree, path, **how)


def check_reads(tmp):
    wanted = {}
    for name, tree in cases():
        for protocol in (2, 3, 4, 5):
            save(tmp / f"{name}.p{protocol}.pt", tree, pickle_protocol=protocol)
            wanted[f"{name}.p{protocol}"] = list(flat(tree))
    base = {"a": torch.arange(1000.0), "b": torch.arange(6).reshape(2, 3).t()}
    torch.serialization.set_crc32_options(False)
    save(tmp / "unchecked.pt", base)
    torch.serialization.set_crc32_options(True)
    with config.patch("save.storage_alignment", 4096):
        save(tmp / "aligned.pt", base)
    save(tmp / "pickled-in-python.pt", base, pickle_module=slow_pickle())
    with zipfile.ZipFile(tmp / "types.p2.pt") as old, zipfile.ZipFile(tmp / "repacked.pt", "w") as new:
        for info in old.infolist():
            new.writestr(zipfile.ZipInfo(info.filename), old.read(info))
    wanted |= {"unchecked": list(flat(base)), "aligned": list(flat(base)), "pickled-in-python": list(flat(base)), "repacked": wanted["types.p2"]}
    koala_reads(tmp)
    for name, want in wanted.items():
        with fact(f"torch.{name}"):
            found = read_json(tmp / f"{name}.json")
            assert "error" not in found, found
            assert found["tensors"] == want, f"{[r['name'] for r in found['tensors']]}, not {[r['name'] for r in want]}, or other data"
            assert found["unchecked"] is (name == "unchecked"), "unchecked"
            assert found["sums"] or name == "unchecked", "a checksum is wrong"
        with fact(f"torch.{name}.written"):
            loads_again(tmp, name, want)


def slow_pickle():
    """The pickle module with its pure Python pickler, whose output differs from that of the C pickler."""
    module = type(pickle)("slow_pickle")
    module.__dict__.update(pickle.__dict__)
    module.Pickler = pickle._Pickler
    return module


def loads_again(tmp, name, want):
    path = tmp / f"{name}.koala"
    with zipfile.ZipFile(path) as z:
        assert z.testzip() is None, "testzip finds a bad member"
        root = name.split("/")[0]
        assert all(n.startswith(root + "/") for n in z.namelist()), "another folder"
        written = z.read(f"{root}/data.pkl")
    for mmap in (False, True):
        tree = torch.load(path, weights_only=True, mmap=mmap)
        assert type(tree) is dict and [row(k, t) for k, t in tree.items()] == want, f"torch.load reads something else (mmap {mmap})"
        assert all(t.is_contiguous() and t.data_ptr() % 64 == 0 for t in tree.values() if mmap and t.numel()), "not aligned"
    # torch's pickle of the same dictionary has the same bytes.
    torch.save({k: t.clone() for k, t in torch.load(path, weights_only=True).items()}, tmp / "again")
    with zipfile.ZipFile(tmp / "again") as z:
        assert z.read("again/data.pkl") == written, "torch.save pickles it otherwise"


def check_refuses(tmp):
    class Evil:
        def __reduce__(self):
            return os.system, ("true",)

    stateful = torch.nn.Parameter(torch.zeros(2))
    stateful.note = "x"
    refused = {
        "evil": ({"a": Evil()}, "posix.system"),
        "stateful": ({"a": stateful}, "torch._utils._rebuild_parameter_with_state"),
        "float8": ({"a": torch.zeros(2, dtype=torch.float8_e4m3fn)}, "torch._utils._rebuild_tensor_v3"),
        "complex": ({"a": torch.zeros(2, dtype=torch.complex64)}, "torch.ComplexFloatStorage"),
        "sparse": ({"a": torch.eye(3).to_sparse()}, "torch._utils._rebuild_sparse_tensor"),
        "module": (torch.nn.Linear(2, 2), "torch.nn.modules.linear.Linear"),
        "broadcast": ({"a": torch.zeros(1).expand(1000)}, "repeats elements: it has 1000, but the storage has only 1"),
        "tensor": (torch.zeros(2), "not a dictionary"),
        "set": ({"a": {1, 2}}, "set"),
    }
    for name, (tree, _) in refused.items():
        torch.save(tree, tmp / f"{name}.pt")
    torch.save({"a": torch.zeros(2)}, tmp / "legacy.pt", _use_new_zipfile_serialization=False)
    torch.jit.script(torch.nn.Linear(2, 2)).save(str(tmp / "script.pt"))
    refused |= {"legacy": (None, "before version 1.6"), "script": (None, "TorchScript")}
    koala_reads(tmp)
    for name, (_, text) in refused.items():
        with fact(f"torch.refused.{name}"):
            found = read_json(tmp / f"{name}.json")
            assert text in found.get("error", ""), found


if __name__ == "__main__":
    main(globals())

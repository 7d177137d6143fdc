"""Measures how recovery scales from 0.1 to 13 G parameters: seconds per GB of output
and peak memory. It also measures the time to read headers.

    python3 bench/sizes.py [--folder DIR] [SIZE…]      sizes 0.1 0.6 1.1 3.4 7 13; default all

The inputs are sparse files of zeros, which take no room on the disk. The output,
26 GB for 13 G parameters, is written, synced and removed. The inputs are dropped
from the page cache before each run, so that small sizes read them like large ones.
Each size runs without digests and with SHA-256 of the output, right after the
floor of bench/recover.py; below 3 G parameters the result is the better of two
runs. `koala recover --plan` of a 13B pair and `koala inspect` of a 65B stream
follow, the best of five runs each.
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

SIZES = {  # layers, width, feed-forward width, heads
    "0.1": (4, 768, 2048, 12), "0.6": (10, 2048, 5504, 16), "1.1": (20, 2048, 5504, 16), "3.4": (26, 3200, 8640, 32),
    "7": (32, 4096, 11008, 32), "13": (40, 5120, 13824, 40), "65": (80, 8192, 22016, 64),
}
here = pathlib.Path(__file__).resolve().parent


def call(*command):
    """Returns seconds and the peak memory of the process in bytes."""
    start = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    if status != 0:
        sys.exit(f"{' '.join(map(str, command))} failed")
    return time.perf_counter() - start, usage.ru_maxrss * 1024


def forget(*files):
    """Drops files from the page cache."""
    for path in files:
        fd = os.open(path, os.O_RDONLY)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(fd)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder")
    parser.add_argument("sizes", nargs="*", metavar="SIZE", choices=[[], *SIZES])
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        koala, sparse = os.path.join(folder, "koala"), os.path.join(folder, "sparse")
        subprocess.run(["go", "build", "-o", koala, "./cmd/koala"], cwd=here.parent, check=True)
        subprocess.run(["go", "build", "-o", sparse, "./sparse"], cwd=here, check=True)

        def pair(size):
            place = pathlib.Path(folder, size)
            if not place.exists():
                place.mkdir()
                subprocess.run([sparse, place, *map(str, SIZES[size])], check=True)
            return place, ["--base", place / "base", "--diff", place / "diff.stream", "--out", place / "out"]

        print("| G parameters | digests | seconds | seconds a GB of output | of the floor | peak memory, MB |\n|---|---|---|---|---|---|")
        for size in args.sizes or [s for s in SIZES if s != "65"]:
            for digests in ("none", "output"):
                place, paths = pair(size)
                files = [*(place / "base").glob("*.safetensors"), place / "diff.stream"]
                runs, floors, bytes = [], [], files[-1].stat().st_size
                for _ in range(2 if float(size) < 3 else 1):
                    forget(*files)
                    peer = [sys.executable, here / "recover_peers.py", "floor", place / "floor", str(bytes), *files]
                    floors.append(float(subprocess.run(peer, check=True, capture_output=True, text=True).stdout))
                    os.unlink(place / "floor")
                    forget(*files)
                    runs.append(call(koala, "recover", *paths, "--digests", digests, "--quiet"))
                    shutil.rmtree(place / "out")
                (seconds, peak), floor = min(runs), min(floors)
                print(f"| {size} | {digests} | {seconds:.2f} | {seconds / bytes * 1e9:.2f} | {floor / bytes * 1e9:.2f} | {peak / 1e6:.0f} |", flush=True)
        if not args.sizes:
            for what, command in (("recover --plan, 13B pair", ["recover", *pair("13")[1], "--plan"]),
                                  ("inspect, 65B stream", ["inspect", pair("65")[0] / "diff.stream"])):
                seconds, peak = min(call(koala, *command) for _ in range(5))
                print(f"{what}: {seconds:.3f} s, {peak / 1e6:.0f} MB")


if __name__ == "__main__":
    main()

#!/bin/sh
# Builds records of HH and removes duplicates, with N processes on one machine.
#   sh xargs.sh FILE... ; results are in ./records and ./unique
set -eu
N=${N:-4}
for file in "$@"; do
	set -- "$@" --in "$file"
	shift
done
seq 0 $((N - 1)) | xargs -P "$N" -I INDEX koala dataset build --source hh "$@" --out records --skip-bad --index INDEX --count "$N" --quiet
set --
for unit in records/unit-*.jsonl; do
	set -- "$@" --in "$unit"
done
seq 0 $((N - 1)) | xargs -P "$N" -I INDEX koala dataset dedup "$@" --out unique --index INDEX --count "$N" --wait 1h --quiet

#!/bin/sh
# Builds records of HH, removes duplicates, and shuffles the rest, with N
# processes on one machine:
#   sh xargs.sh FILE...
# The results are in ./records, ./unique and ./train. A second run continues.
set -eu
N=${N:-4}
for file in "$@"; do
	set -- "$@" --in "$file"
	shift
done
shared() { # shared ARGUMENT...: one command, shared by N runs
	seq 0 $((N - 1)) | xargs -P "$N" -I INDEX koala dataset "$@" --index INDEX --count "$N" --quiet
}
shared build --source hh "$@" --out records --skip-bad
shared dedup --in 'records/unit-*.jsonl' --out unique --wait 1h
shared mix --from 'unique/unit-*.jsonl=1' --shuffle --seed 7 --out train --wait 1h

#!/bin/sh
#SBATCH --job-name=koala-dataset
#SBATCH --array=0-3
#SBATCH --cpus-per-task=2
#SBATCH --mem=1G
#SBATCH --time=01:00:00
#SBATCH --requeue
# Runs one koala dataset command, shared by the tasks of an array. All nodes must see the paths:
#   build=$(sbatch --parsable slurm.sh build --source hh --in train.jsonl.gz --out records --skip-bad)
#   sbatch --dependency="afterok:$build" slurm.sh dedup --in 'records/unit-*.jsonl' --out unique --wait 30m
# A requeued task continues. The first index of the array must be 0.
set -eu
exec koala dataset "$@" --index "$SLURM_ARRAY_TASK_ID" --count "$SLURM_ARRAY_TASK_COUNT" --quiet

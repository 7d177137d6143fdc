#!/bin/sh
#SBATCH --job-name=koala-dataset
#SBATCH --array=0-3
#SBATCH --cpus-per-task=2
#SBATCH --mem=1G
#SBATCH --time=01:00:00
#SBATCH --requeue
# One step of koala dataset, shared by the tasks of an array; paths must be on a file system that all nodes see:
#   build=$(sbatch --parsable slurm.sh build --source hh --in train.jsonl.gz --out records --skip-bad)
#   sbatch --dependency="afterok:$build" slurm.sh dedup --in 'records/unit-*.jsonl' --out unique --wait 30m
# A task that is requeued goes on. The first index of the array must be 0.
set -eu
exec koala dataset "$@" --index "$SLURM_ARRAY_TASK_ID" --count "$SLURM_ARRAY_TASK_COUNT" --quiet

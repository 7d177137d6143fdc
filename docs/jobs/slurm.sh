#!/bin/sh
#SBATCH --job-name=koala-data
#SBATCH --array=0-3
#SBATCH --cpus-per-task=2
#SBATCH --mem=1G
#SBATCH --time=01:00:00
#SBATCH --requeue
# Builds records of HH: sbatch slurm.sh FILE... ; results are in $SHARED/records, on a file system that all nodes see.
# Then, with the same array: koala dataset dedup --in ... --out "$SHARED/unique" --wait 30m and the two flags below.
set -eu
SHARED=${SHARED:-$SLURM_SUBMIT_DIR}
for file in "$@"; do
	set -- "$@" --in "$file"
	shift
done
exec koala dataset build --source hh "$@" --out "$SHARED/records" --skip-bad \
	--index "$SLURM_ARRAY_TASK_ID" --count "$SLURM_ARRAY_TASK_COUNT"

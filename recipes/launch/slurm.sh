#!/bin/bash
#SBATCH --job-name=visplay
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=32
#SBATCH --time=24:00:00
#SBATCH --signal=TERM@120
#SBATCH --open-mode=append
# From the repository's folder, with the environment activated. Submit it again to go on where the time ran out:
#
#   sbatch recipes/launch/slurm.sh RECIPE [key=value ...] --out /shared/runs/mine
#
# One torchrun a node. The nodes are examined first, so that a faulty one costs minutes and not hours.
set -euo pipefail
ulimit -n "$(ulimit -Hn)"
FIRST="$(scontrol show hostnames "$SLURM_JOB_NODELIST" | sed -n 1p)"  # not head, whose early end would end the script
export SRUN_CPUS_PER_TASK="${SLURM_CPUS_PER_TASK:-1}"  # srun no longer takes it from the job by itself
export FIRST NODES="$SLURM_NNODES" ID="$SLURM_JOB_ID" PORT="$((20000 + SLURM_JOB_ID % 10000))"
for tool in tools/doctor.py tools/evolve.py; do
    TOOL="$tool" srun --kill-on-bad-exit=1 bash recipes/launch/torchrun.sh "$@"
done

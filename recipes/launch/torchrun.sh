#!/usr/bin/env bash
# The same line on every node, from the repository's folder; whichever comes first waits for the others:
#
#   NODES=2 FIRST=node1 bash recipes/launch/torchrun.sh RECIPE [key=value ...] --out /shared/runs/mine
#
# NODES  how many nodes                              GPUS  processes on each; unless set, one for each GPU
# FIRST  the name of one of them, the same for all   PORT  a free port there         ID  another one for another run
# TOOL   tools/doctor.py examines the nodes instead
set -euo pipefail
exec torchrun \
    --nnodes "${NODES:?is the number of nodes}" --nproc-per-node "${GPUS:-gpu}" \
    --rdzv-backend c10d --rdzv-endpoint "${FIRST:?is the name of one node}:${PORT:-29400}" --rdzv-id "${ID:-visplay}" \
    "${TOOL:-tools/evolve.py}" "$@"

#!/bin/bash
#SBATCH --job-name=restora
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --exclusive
#SBATCH --time=12:00:00
#SBATCH --signal=B:TERM@120
# One run on a Ray cluster of the nodes that Slurm gives: sbatch deploy/slurm.sh job.toml
# Out of time, or lost a node? Submit it again: it goes on where it stopped. Input and output on a shared disk or a
# store; restora in the environment that is active where this is submitted. For GPUs add --gpus-per-node.
set -euo pipefail
job=${1:?usage: sbatch deploy/slurm.sh JOB.toml}
port=${RAY_PORT:-6379}
nodes=$(scontrol show hostnames "$SLURM_JOB_NODELIST")
head=$(head -n 1 <<<"$nodes")

# A token for this cluster alone, which only this user can read.
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=$HOME/.restora-ray-$SLURM_JOB_ID
(umask 077; od -An -N32 -tx1 /dev/urandom | tr -d ' \n' >"$RAY_AUTH_TOKEN_PATH")
trap 'rm -f "$RAY_AUTH_TOKEN_PATH"' EXIT

srun --nodes=1 --ntasks=1 --nodelist="$head" ray start --head --port="$port" --block &
for _ in $(seq 60); do
  ray health-check --address "$head:$port" 2>/dev/null && break
  sleep 2
done
others=$((SLURM_JOB_NUM_NODES - 1))
if ((others > 0)); then
  srun --nodes="$others" --ntasks="$others" --exclude="$head" ray start --address="$head:$port" --block &
fi
# The shell hands Slurm's TERM on and waits: the run keeps what is committed.
restora benchmark "$job" --engine ray --ray-address "$head:$port" &
run=$!
trap 'kill -TERM "$run" 2>/dev/null || true' TERM
wait "$run" && code=0 || code=$?
wait "$run" 2>/dev/null || code=$?
exit "$code"

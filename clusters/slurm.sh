#!/bin/bash
# A sweep on Slurm: several launches on one folder, which share its trials. docs/cluster/slurm.md is the guide.
#
#   sbatch clusters/slurm.sh CONFIG STORE [OPTIONS of sweep launch]
#
# from the checkout, with STORE on a file system that all nodes mount. More launches at once: --array=0-31.

#SBATCH --job-name=sweep
#SBATCH --array=0-7
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=8
#SBATCH --gres=gpu:1
#SBATCH --mem=32G
#SBATCH --time=24:00:00
#SBATCH --output=sweep-%A-%a.log
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --signal=B:TERM@300

set -u
config=$1 store=$2
shift 2
[ -f .venv/bin/activate ] && . .venv/bin/activate

# Five minutes before the end, Slurm sends SIGTERM. The launch saves checkpoints and ends; the job is queued again.
signalled=
trap 'signalled=yes; kill -TERM "$launch"' TERM
sweep launch "$config" --store "$store" --local --jobs auto "$@" &
launch=$!
wait "$launch"
code=$?
if [ -n "$signalled" ]; then
  wait "$launch"
  code=$?
  # 143: stopped by SIGTERM, with trials left. A job that is being cancelled isn't queued again.
  if [ "$code" = 143 ] && [ "$(squeue --noheader --jobs="$SLURM_JOB_ID" --format=%T)" = RUNNING ]; then
    scontrol requeue "$SLURM_JOB_ID"
  fi
fi
exit "$code"

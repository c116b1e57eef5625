#!/usr/bin/env bash
# What one GPU does with this checkout, as one Markdown table after the other in gpu.md: the tests marked `gpu`,
# a replica beside its bound, precision, layout and compilation, a training step beside a bare loop.
#
#   benchmarks/gpu.sh [--small] [FOLDER OF WHEELS]
#
# Needs PyTorch and the packages of pyproject.toml but Ray and Prefect; those that are missing may lie in a folder
# of wheels. No network. At most eight minutes; --small tries every part on a CPU. $OUT says where gpu.md goes.
set -u
cd "$(dirname "$0")/.."
small= slack=1; [ "${1:-}" = --small ] && { small=1; slack=5; shift; }
out=${OUT:-.}; page=$out/gpu.md; packages=$(mktemp -d); mkdir -p "$out"
[ $# -gt 0 ] && python3 -m pip install -q --no-index --no-deps --no-compile --target "$packages" "$1"/*.whl
export PYTHONPATH="$PWD:$packages${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1
python=${PYTHON:-python3}
replica=(--images 2000); precision=(--seconds 90); training=(--rounds 5 --steps 20 --device cuda)
if [ -n "$small" ]; then
  replica=(--images 16 --side 64 --architecture dncnn); precision=(--side 64 --batch 2 --seconds 300 --full-size dncnn)
  training=(--rounds 1 --steps 2 --one-process)
fi

part() {  # part TITLE SECONDS COMMAND...: its output under a title, cut off by the clock
  local title=$1 seconds=$2; shift 2
  printf '\n## %s\n\n' "$title" | tee -a "$page"
  timeout "$((seconds * slack))" "$@" 2>"$packages/errors" | tee -a "$page"
  local code=${PIPESTATUS[0]}
  [ "$code" = 0 ] || { printf '\nEnded with code %s.\n\n```\n' "$code"; tail -15 "$packages/errors"; echo '```'; } | tee -a "$page"
}

printf '# One GPU, %s\n' "$(date -u +%F)" | tee "$page"
part "The machine" 30 "$python" -c '
import os, torch
name = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
print(f"{name}, {os.cpu_count()} cores, torch {torch.__version__}, load {os.getloadavg()[0]:.1f}")'
at_once=(); "$python" -c 'import xdist' 2>/dev/null && at_once=(-n 4)
part "Tests marked gpu" 120 "$python" -m pytest -q -m gpu --no-header -p no:cacheprovider --durations=5 "${at_once[@]}" \
  tests/test_gpu.py tests/models/test_restorers.py tests/models/test_networks.py tests/pipeline/imaging
part "A replica beside its bound" 180 "$python" benchmarks/accelerator_real.py "${replica[@]}"
part "Precision, layout, compilation" 110 "$python" benchmarks/precision.py "${precision[@]}"
part "A training step beside a bare loop" 40 "$python" benchmarks/training.py "${training[@]}"
rm -rf "$packages"

#!/usr/bin/env bash
# NVIDIA's wheels nvidia-cuda-nvcc 13.0.88 and nvidia-nvvm 13.5.37, with pip: a pinned nvcc is given a newer half of its own compiler, and
# cannot compile.
#
# Expected: nvidia-cuda-nvcc==13.0.88 is CUDA 13.0's compiler, or pip refuses what does not belong together.
# Seen: the wheel asks for nvidia-nvvm, nvidia-cuda-crt and nvidia-cuda-runtime of any version, so pip takes the latest ones and `pip check` finds
# nothing wrong. cicc, which nvcc runs out of the wheel of nvvm, writes PTX 9.5; ptxas, which is in the wheel of nvcc, ends at 9.0. With all four
# of 13.0 the same file compiles.
# What it means for recvae: `.ci/cuda/requirements.txt` pins every one of these wheels, and `npm run build:cuda` installs them without dependencies.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/python"
echo '__global__ void nothing() {}' >"$folder/nothing.cu"
compile() {
  "$folder/python/bin/pip" install --quiet --disable-pip-version-check nvidia-cuda-nvcc==13.0.88 "$@"
  "$folder/python/bin/pip" check --disable-pip-version-check
  "$folder"/python/lib/python3*/site-packages/nvidia/cu13/bin/nvcc -arch=sm_80 -c "$folder/nothing.cu" -o "$folder/nothing.o" 2>&1 |
    sed -n 's/.*fatal *: \(Unsupported .*\)/\1/p'
  if [ -e "$folder/nothing.o" ]; then echo "compiled"; else echo "not compiled"; fi
}
{
  compile nvidia-nvvm==13.5.37 nvidia-cuda-crt==13.5.37 nvidia-cuda-runtime==13.5.37
  "$folder/python/bin/python" -c 'from importlib.metadata import requires; print(sorted(requires("nvidia-cuda-nvcc")))'
  compile nvidia-nvvm==13.0.88 nvidia-cuda-crt==13.0.88 nvidia-cuda-runtime==13.0.96
} | tee "$folder/seen"
diff - "$folder/seen" <<'OUT'
No broken requirements found.
Unsupported .version 9.5; current version is '9.0'
not compiled
['nvidia-cuda-crt', 'nvidia-cuda-runtime', 'nvidia-nvvm']
No broken requirements found.
compiled
OUT

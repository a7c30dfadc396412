#!/usr/bin/env bash
# Make .venv and install this package into it, editable, with the pinned versions of constraints.txt.
#
#   usage: install-python.sh [EXTRAS]     of pyproject.toml, comma-separated: lips, asr, llm, ...; dev: what tests need
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

extra=${1:-}
if [[ ! $extra =~ ^[a-z,]*$ ]]; then
  sed -n '2,4s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
  exit 2
fi
venv_python=.venv/bin/python

# Also true of a .venv whose interpreter was upgraded away.
if ! "$venv_python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
  python=$(scripts/find-python.sh)
  echo "Making .venv with $("$python" --version) ($python)"
  "$python" -m venv --clear .venv
fi
# uv makes environments without pip.
"$venv_python" -m pip --version >/dev/null 2>&1 || "$venv_python" -m ensurepip --upgrade

# PyAudio has no wheel for Linux. Where it can't be compiled the rest is still worth having.
can_build_pyaudio() {
  local include
  include=$("$venv_python" -c 'import sysconfig; print(sysconfig.get_path("include"))')
  command -v cc >/dev/null \
    && printf '#include <Python.h>\n#include <portaudio.h>\n' | cc "-I$include" -E - >/dev/null 2>&1
}

pip=("$venv_python" -m pip --disable-pip-version-check install --quiet --constraint constraints.txt)
echo "Installing Python packages into .venv ..."
if [[ $(uname -s) != Linux ]] || can_build_pyaudio || "$venv_python" -c 'import pyaudio' 2>/dev/null; then
  "${pip[@]}" --editable ".${extra:+[$extra]}"
else
  echo "PyAudio can't be built here (gcc, Python's headers or portaudio19-dev missing): no virtual microphone."
  "$venv_python" - "$extra" >.venv/requirements-without-pyaudio.txt <<'END'
import sys
import tomllib

with open("pyproject.toml", "rb") as file:
    project = tomllib.load(file)["project"]
extras = project["optional-dependencies"]
named = [name for name in sys.argv[1].split(",") if name]
for line in [line for name in named for line in extras[name]]:
    # dev names other extras: vcam-talker[asr,lips,...]
    if line.startswith("vcam-talker["):
        named += line.partition("[")[2].rstrip("]").split(",")
wanted = project["dependencies"] + [line for name in named for line in extras[name]]
print("\n".join(line for line in wanted if not line.startswith(("pyaudio", "vcam-talker"))))
END
  "${pip[@]}" --requirement .venv/requirements-without-pyaudio.txt
  "${pip[@]}" --no-deps --editable .
fi

# Two builds of ONNX Runtime write over each other's files: asr, lips and prune bring the one for processors, and
# gpu the one that knows both. It alone stays.
both='from importlib.metadata import version; version("onnxruntime"), version("onnxruntime-gpu")'
if "$venv_python" -c "$both" 2>/dev/null; then
  "$venv_python" -m pip --disable-pip-version-check uninstall --quiet --yes onnxruntime
  "${pip[@]}" --no-deps --force-reinstall onnxruntime-gpu
fi

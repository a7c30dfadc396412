#!/usr/bin/env bash
# Write the versions now in .venv to constraints.txt (make pins), after trying newer ones by hand.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

{
  echo "# The versions tests and CI run with; scripts/pin.sh writes this file. Names and versions only."
  .venv/bin/python -m pip freeze --exclude-editable | grep -E '^[A-Za-z0-9._-]+==[^ ]+$' | sed 's/+cpu$//'
} >constraints.txt.new
mv constraints.txt.new constraints.txt

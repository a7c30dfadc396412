#!/usr/bin/env bash
# Print the path of a Python that can run vcam_talker (3.11 or newer); exit 1 and say why when there is none.
# PYTHON=/path/to/python3 chooses one by hand.
set -euo pipefail

new_enough() {
  "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11) or sys.implementation.name != "cpython")' \
    >/dev/null 2>&1
}

# Resolved to the interpreter itself: a pyenv shim changes its mind from one folder to the next.
resolved() { "$1" -c 'import sys; print(sys.executable)'; }

if [[ -n ${PYTHON:-} ]]; then
  if new_enough "$PYTHON"; then
    resolved "$PYTHON"
    exit 0
  fi
  echo "PYTHON=$PYTHON is not a CPython of 3.11 or newer." >&2
  exit 1
fi

# The distribution's own python3 first: its venv and headers are one apt package away.
for candidate in /usr/bin/python3 python3 python3.12 python3.13 python3.11 python3.14; do
  if command -v "$candidate" >/dev/null && new_enough "$candidate"; then
    resolved "$candidate"
    exit 0
  fi
done
if command -v uv >/dev/null && managed=$(uv python find '>=3.11' 2>/dev/null) && new_enough "$managed"; then
  resolved "$managed"
  exit 0
fi

have=$(python3 --version 2>&1) || have="no python3"
cat >&2 <<END
vcam_talker needs Python 3.11 or newer; found: $have.
Install one (Debian 12, Ubuntu 24.04: apt-get install python3; elsewhere pyenv or uv), or name it:
  make PYTHON=/path/to/python3.12 run
END
exit 1

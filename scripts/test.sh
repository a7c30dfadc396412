#!/usr/bin/env bash
# All tests, or those of the arguments, which are pytest's. Virtual machines mostly wait and need one processor:
# theirs run beside the tests of pure code, which no load disturbs. Tests that watch the clock run alone.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
pytest=(.venv/bin/python -m pytest)
[[ $# -eq 0 ]] || exec "${pytest[@]}" "$@"

log=build/test-vm.log
mkdir -p build
failed=0
"${pytest[@]}" -m vm >"$log" 2>&1 &
machines=$!
trap 'kill "$machines" 2>/dev/null' EXIT
"${pytest[@]}" -m "not real" || failed=1
echo "Waiting for the tests in virtual machines."
wait "$machines" || failed=1
cat "$log"
"${pytest[@]}" -m "real and not vm" || failed=1
exit "$failed"

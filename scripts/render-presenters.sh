#!/usr/bin/env bash
# Render the pictures of built-in presenters anew, from their descriptions in studio/characters. A quarter
# of an hour of two cores for short hair, half an hour for long hair; what is finished is kept in build/ when it is
# stopped.
#
#   usage: render-presenters.sh [NAME ...]      (default: elena kofi lumi)
#
#   SIZE=1280x720    of the picture, 1920x1080 for instance
#   OUT=personas     where the folders of the presenters are
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

names=("$@")
((${#names[@]})) || names=(elena kofi lumi)
size=${SIZE:-1280x720}
out=${OUT:-personas}
# The plan of idle life whose motion repeats itself least (python -m studio.life.report --seed 31).
seed=31

for name in "${names[@]}"; do
  character=studio/characters/$name.toml
  room=build/sets/$name.png
  mkdir -p build/sets "$out/$name"
  if [[ ! -f $room || $character -nt $room ]]; then
    build/blender/bin/python -m studio.sets render --character "$character" --size 1920x1080 --out "$room"
  fi
  .venv/bin/python -m studio persona "$character" --backdrop "$room" --size "$size" --seed "$seed" \
    --scratch "build/segments/$name-$size" --out "$out/$name"
done

#!/usr/bin/env bash
# State how good the lips that ship are, on people, voices and languages that they never saw or heard. Uses the
# truth that train-lips.sh drew, and draws what is missing. An hour of two cores, most of it drawing.
#
#   usage: evaluate-lips.sh
#
#   WORK=build/lips     as for train-lips.sh; the figures go to $WORK/figures
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

work=${WORK:-build/lips}
python=.venv/bin/python
models=vcam_talker/models
figures=$work/figures
mkdir -p "$figures"

picture=("$python" -m studio.lips.picture)
"${picture[@]}" make --out "$work/picture" --split test --people 48
teacher=()
if [[ -d $work/teacher ]]; then teacher=("$work/teacher"); fi
"${picture[@]}" evaluate --data "$work/picture" --reader "$work/reader.pt" "${teacher[@]}" "$models/lips" | tee "$figures/picture.json"
for name in elena kofi lumi; do
  if [[ -f build/sets/$name.png ]]; then
    "${picture[@]}" against "$name" "$models/lips" --sheet "$figures/$name.png" | tee "$figures/against-$name.json"
  else
    echo "$name is not compared with truth: no room in build/sets (scripts/render-presenters.sh $name makes it)" >&2
  fi
done

"$python" -m studio.lips.landmarks make --out "$work/landmarks" --split test
"$python" -m studio.lips.landmarks evaluate --data "$work/landmarks" | tee "$figures/landmarks.json"
"$python" -m studio.lips.sound make --out "$work/speech" --hours 15
"$python" -m studio.lips.sound evaluate --data "$work/speech" --to "$figures"

# An expert of pictures and sound, trained for this alone, and the whole way from a voice to the picture on air.
sync=("$python" -m studio.lips.sync)
"${sync[@]}" make --out "$work/sync"
"${sync[@]}" train --data "$work/sync" --out "$work/expert"
"${sync[@]}" evaluate --data "$work/sync" --expert "$work/expert" | tee "$figures/expert.json"
"${sync[@]}" measure --expert "$work/expert" --reader "$work/reader.pt" --model "$models/lips" --recordings / \
  >"$figures/sync.json"

#!/usr/bin/env bash
# State how good the lips that ship are, on people, voices and languages that they never saw or heard. Uses the
# truth that train-lips.sh drew, and draws what is missing; teacher and judges are those of studio/lips/trained.
# Needs `make studio EXTRAS=prune,asr`; sound and sync also Debian's recorded people (scripts/install-system.sh test).
#
#   usage: evaluate-lips.sh [picture|landmarks|sound|sync ...]      (default: all four)
#
# On two cores: picture 10 min, landmarks and sound some minutes each, sync a quarter of an hour.
#
#   WORK=build/lips     as for train-lips.sh; the figures go to $WORK/figures
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

work=${WORK:-build/lips}
python=.venv/bin/python
models=vcam_talker/models
figures=$work/figures
mkdir -p "$figures"

steps=("$@")
((${#steps[@]})) || steps=(picture landmarks sound sync)
trained=studio/lips/trained

picture() {
  local net=("$python" -m studio.lips.picture) name
  "${net[@]}" make --out "$work/picture" --split test --people 48
  "${net[@]}" evaluate --data "$work/picture" --reader "$trained/reader.safetensors" --count 600 \
    "$trained/teacher" "$models/lips" | tee "$figures/picture.json"
  for name in elena kofi lumi; do
    if [[ -f build/sets/$name.png ]]; then
      "${net[@]}" against "$name" "$models/lips" --sheet "$figures/$name.png" | tee "$figures/against-$name.json"
    else
      echo "$name is not compared with truth: no room in build/sets (scripts/render-presenters.sh $name makes it)" >&2
    fi
  done
}

landmarks() {
  "$python" -m studio.lips.landmarks make --out "$work/landmarks" --split test --people 30
  "$python" -m studio.lips.landmarks evaluate --data "$work/landmarks" | tee "$figures/landmarks.json"
}

sound() {
  "$python" -m studio.lips.sound make --out "$work/speech" --split test
  "$python" -m studio.lips.sound evaluate --data "$work/speech" --to "$figures/sound.json"
}

# The whole way from a voice to the picture on air, judged by the reader of mouths and by an expert of pictures
# and sound, who was trained for this alone.
sync() {
  local teacher=$work/model/teacher
  local measure=("$python" -m studio.lips.sync measure
    --expert "$trained/expert" --reader "$trained/reader.safetensors" --model "$models/lips")
  mkdir -p "$work/model"
  "$python" -m studio.lips.picture export "$trained/teacher" --out "$teacher" --replace --label teacher --trained-on "as lips"
  "${measure[@]}" --model "$teacher" >"$figures/sync.json"
  "${measure[@]}" --persona elena --sentences 0 --recordings / --count 3 >"$figures/sync-recorded.json"
}

for step in "${steps[@]}"; do
  case $step in
    picture | landmarks | sound | sync) "$step" ;;
    *)
      echo "evaluate-lips.sh: no step is called '$step'; there are picture, landmarks, sound and sync" >&2
      exit 2
      ;;
  esac
done

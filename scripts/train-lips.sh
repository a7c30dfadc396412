#!/usr/bin/env bash
# Train what moves the lips anew, from nothing: truth is drawn and spoken, networks learn from it, and those
# that ship are put in their place under vcam_talker/models; teacher and judges go to studio/lips/trained.
# What is done is passed over; drawing truth and the trainings of an hour go on where they were stopped.
# Needs `make studio EXTRAS=prune,asr`, and for all figures of the sound Debian's recorded people
# (scripts/install-system.sh test). A student that misses its bars ends it: what ships stays as it is.
#
#   usage: train-lips.sh [picture|sound|landmarks|expert ...]      (default: the first three)
#
#   WORK=build/lips     where truth, trainings and teachers lie (4 GB)
#   DEVICE=cpu          or cuda, for the networks of the picture and of the sound
#   WORKERS=2           processes that draw and speak
#
# On two cores: the picture's truth 45 min, its teacher 1 h, its student 1 h; sound, landmarks, expert 20 min each.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

steps=("$@")
((${#steps[@]})) || steps=(picture sound landmarks)
work=${WORK:-build/lips}
device=${DEVICE:-cpu}
workers=${WORKERS:-2}
python=.venv/bin/python
precision=()
# Quicker, and as good, where a processor multiplies bfloat16.
if [[ $device == cuda ]] || grep -q -m1 -E 'avx512_bf16|amx_bf16' /proc/cpuinfo; then precision=(--bf16); fi
models=vcam_talker/models

once() { # MARK COMMAND...: not again once it has succeeded
  local mark=$work/done/$1
  shift
  [[ -e $mark ]] && return 0
  echo "+ $*"
  "$@"
  mkdir -p "$work/done" && touch "$mark"
}

picture() {
  local net=("$python" -m studio.lips.picture) truth=$work/picture
  once picture-train "${net[@]}" make --out "$truth" --workers "$workers" --presenters 16
  once picture-val "${net[@]}" make --out "$truth" --workers "$workers" --split val --people 32
  once picture-test "${net[@]}" make --out "$truth" --workers "$workers" --split test --people 48
  once reader "${net[@]}" reader --data "$truth" --out "$work/reader.pt"
  once teacher "${net[@]}" train --data "$truth" --out "$work/teacher" --plan teacher --device "$device" "${precision[@]}"
  once student "${net[@]}" shrink --data "$truth" --teacher "$work/teacher" --reader "$work/reader.pt" \
    --out "$work/student" --device "$device" "${precision[@]}"
  "${net[@]}" export "$work/student" --out "$models/lips" --replace --label "built-in lips" \
    --trained-on "Drawn people of studio/ (440, and the three presenters) with flite's and espeak-ng's voices."
  "$python" -m studio.lips.keep --teacher "$work/teacher" --reader "$work/reader.pt"
}

sound() {
  local net=("$python" -m studio.lips.sound)
  once sound-truth "${net[@]}" make --out "$work/speech" --hours 15
  once sound "${net[@]}" train --data "$work/speech" --out "$work/sound" --device "$device" --workers "$workers"
  # What ships tells how good it is, so it is judged before it is put in its place.
  once sound-net "${net[@]}" export --run "$work/sound" --to "$work/sound-net"
  local figures=$work/figures/trained-sound.json
  once sound-figures "${net[@]}" evaluate --data "$work/speech" --net "$work/sound-net" --to "$figures"
  "${net[@]}" export --run "$work/sound" --figures "$figures"
}

landmarks() {
  local net=("$python" -m studio.lips.landmarks)
  once landmarks-train "${net[@]}" make --out "$work/landmarks" --workers "$workers"
  once landmarks-test "${net[@]}" make --out "$work/landmarks" --workers "$workers" --split test --people 30
  once landmarks "${net[@]}" train --data "$work/landmarks" --out "$work/landmarks.npz"
  # What ships is never half-written.
  cp "$work/landmarks.npz" "$models/landmarks/.landmarks.npz.part"
  mv "$models/landmarks/.landmarks.npz.part" "$models/landmarks/landmarks.npz"
}

# Who judges if a mouth and a sound belong together: ships nowhere.
expert() {
  local net=("$python" -m studio.lips.sync)
  once expert-truth "${net[@]}" make --out "$work/sync" --workers "$workers"
  once expert "${net[@]}" train --data "$work/sync" --out "$work/expert" --threads 2 "${precision[@]}"
  "${net[@]}" evaluate --data "$work/sync" --expert "$work/expert"
  "$python" -m studio.lips.keep --expert "$work/expert"
}

for step in "${steps[@]}"; do
  case $step in
    picture | sound | landmarks | expert) "$step" ;;
    *)
      echo "train-lips.sh: no step is called '$step'; there are picture, sound, landmarks and expert" >&2
      exit 2
      ;;
  esac
done

#!/usr/bin/env bash
# Make the studio ready: Blender as a Python module in an environment of its own, and the CC0 head pack.
#
#   usage: install-studio.sh [PACK]     a folder that holds the unpacked head pack, or a tar archive of one;
#                                       without it the pack comes from its public home (git, some 400 MB)
#
#   BLENDER_PYTHON=...    a Python 3.11, which Blender's module needs (default: python3.11)
#   HEAD_PACK_HOME=...    where the pack's three repositories are cloned from
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

pack=${1:-}
home=${HEAD_PACK_HOME:-https://github.com/makehumancommunity}
# Blender's long-term release that the rooms were modelled with.
blender='bpy==4.2.*'
work=build/head-pack.part

fail() {
  printf '%s\n' "$@" >&2
  exit 1
}

install_blender() {
  local python=${BLENDER_PYTHON:-python3.11}
  build/blender/bin/python -c 'import bpy, pydantic' 2>/dev/null && return 0
  "$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null \
    || fail "Blender's module needs Python 3.11, and '$python' is none. Install it, or name one in BLENDER_PYTHON." \
      "Without it everything but new rooms (python -m studio.sets) works."
  echo "Installing Blender as a module into build/blender (some 350 MB) ..."
  "$python" -m venv --clear build/blender
  build/blender/bin/python -m pip --disable-pip-version-check install --quiet "$blender" pydantic
}

# Clone folders of a repository and move them to where the pack has them.
fetch() {
  local repository=$1 folder
  shift
  git clone --quiet --depth 1 --filter=blob:none --sparse "$home/$repository.git" "$work.git"
  git -C "$work.git" sparse-checkout set "$@"
  for folder in "$@"; do
    [[ -d $work.git/$folder ]] || fail "$home/$repository has no folder $folder any more."
    mkdir -p "$work/$(dirname "$folder")"
    mv "$work.git/$folder" "$work/$folder"
  done
  rm -rf "$work.git"
}

install_pack() {
  is_pack build/head-pack && [[ -z $pack ]] && return 0
  rm -rf "$work" "$work.git"
  if [[ -d $pack ]]; then
    is_pack "$pack" || fail "$pack: this is no head pack; studio/README.md says what belongs into one."
    rm -rf build/head-pack
    ln -s "$(cd "$pack" && pwd)" build/head-pack
    return 0
  fi
  mkdir -p "$work"
  if [[ -f $pack ]]; then
    tar -C "$work" -xf "$pack"
  elif [[ -n $pack ]]; then
    fail "$pack: no such folder or archive."
  else
    echo "Fetching the head pack from $home ..."
    fetch makehuman makehuman/data/3dobjs makehuman/data/targets makehuman/data/rigs makehuman/data/eyes
    fetch makehuman-assets base
    fetch mpfb2 src/mpfb/data/mesh_metadata src/mpfb/data/textures
  fi
  # An archive may hold the pack in a folder of its own.
  local found=$work inner
  for inner in "$work"/*/; do is_pack "$work" || ! is_pack "$inner" || found=${inner%/}; done
  is_pack "$found" || fail "${pack:-$home}: this is no head pack; studio/README.md says what belongs into one."
  rm -rf build/head-pack
  mv "$found" build/head-pack
  rm -rf "$work"
}

is_pack() {
  [[ -f $1/makehuman/data/3dobjs/base.obj && -d $1/base/clothes && -d $1/src/mpfb/data/mesh_metadata ]]
}

mkdir -p build
install_pack
install_blender
cat <<END
The studio is ready:
  .venv/bin/python -m studio sheet studio/characters/lumi.toml --backdrop some.png --out out   # look at a presenter
  scripts/render-presenters.sh lumi                                                           # make one: room, life, mouths
  .venv/bin/python -m studio.truth make --out truth --frames 10000 --seed 1                    # training truth
END

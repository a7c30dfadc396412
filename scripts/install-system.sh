#!/usr/bin/env bash
# Install the system packages vcam_talker needs, through apt where that is allowed.
#
#   usage: install-system.sh [--dry-run] run|test       ("test" includes "run")
#
# Where packages may not be installed it names what is missing, the one command that installs it and what is
# lost without it, and goes on. Exit codes: 0 ready (perhaps with less), 1 something essential is missing, 2 usage.
#
#   PYTHON=...            the interpreter the virtual environment is made of (default: find-python.sh)
#   VCAM_TALKER_NO_APT=1  never call apt, only report
set -euo pipefail
shopt -s lastpipe

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

usage() {
  sed -n '2,11s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
  exit "$1"
}

dry_run=
wanted=
for argument in "$@"; do
  case $argument in
    --dry-run) dry_run=1 ;;
    run | test) wanted=$argument ;;
    -h | --help) usage 0 ;;
    *) usage 2 >&2 ;;
  esac
done
[[ -n $wanted ]] || usage 2 >&2

python=$("$here/find-python.sh")
python_name=python$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')

# set ; essential or optional ; package, or alternatives in order of preference ; probe ; what is lost without it.
# A probe finds what came another way than through dpkg:
# cmd:NAME[,NAME]  a program · lib:NAME  a shared library · py:venv, py:headers  a part of the chosen Python
packages() {
  cat <<END
run;essential;$python_name-venv|python3-venv;py:venv;no virtual environment can be made
run;essential;libgl1;lib:libGL.so.1;the picture can't be drawn (Skia)
run;essential;libegl1;lib:libEGL.so.1;the picture can't be drawn (Skia)
run;essential;libexpat1;lib:libexpat.so.1;the picture can't be drawn (Skia)
run;optional;gcc;cmd:cc,gcc,clang;PyAudio can't be built: no virtual microphone (the page still has sound)
run;optional;libc6-dev;cmd:;PyAudio can't be built: no virtual microphone
run;optional;$python_name-dev|python3-dev;py:headers;PyAudio can't be built: no virtual microphone
run;optional;portaudio19-dev;cmd:;PyAudio can't be built: no virtual microphone
run;optional;libportaudio2;lib:libportaudio.so.2;no virtual microphone
run;optional;libasound2-plugins;cmd:;no virtual microphone (PortAudio reaches the sound server through it)
run;optional;libpulse0;lib:libpulse.so.0;no virtual microphone
run;optional;pulseaudio-utils;cmd:pactl;no pactl to look at the microphone with
run;optional;flite;cmd:flite;English is spoken by espeak-ng, less clearly
run;optional;espeak-ng;cmd:espeak-ng;no voice for Mandarin or any language but English
END
  # A second sound server would fight the one that runs: PulseAudio only where PipeWire does not do its work.
  if ! installed pipewire-pulse && ! command -v pipewire-pulse >/dev/null; then
    echo "run;optional;pulseaudio;cmd:pulseaudio;no virtual microphone unless a sound server runs already"
  fi
  cat <<END
test;optional;ffmpeg;cmd:ffmpeg;tests that read camera and files back fail
test;optional;chromium|chromium-browser;cmd:chromium,chromium-browser,google-chrome,google-chrome-stable;tests of the page fail
test;optional;obs-studio;cmd:obs;tests with OBS fail
test;optional;xvfb;cmd:Xvfb;tests with OBS fail
test;optional;xauth;cmd:xauth;tests with OBS fail
test;optional;pulseaudio;cmd:pulseaudio;tests of the microphone and of hearing fail
test;optional;pipewire;cmd:pipewire;tests of the microphone on PipeWire fail
test;optional;pipewire-pulse;cmd:pipewire-pulse;tests of the microphone on PipeWire fail
test;optional;wireplumber;cmd:wireplumber;tests of the microphone on PipeWire fail
test;optional;inspircd;cmd:inspircd,/usr/sbin/inspircd;tests of the chat on a real IRC server fail
test;optional;openssl;cmd:openssl;tests of the chat on a real IRC server fail
test;optional;systemd;cmd:systemd-analyze;tests of the service fail
test;optional;dbus-daemon|dbus;cmd:dbus-daemon;tests of the service fail
test;optional;qemu-system-x86;cmd:qemu-system-x86_64;tests of the real camera device (in a VM) fail
test;optional;busybox-static;cmd:;tests of the real camera device fail
test;optional;kmod;cmd:depmod,/sbin/depmod;tests of the real camera device fail
test;optional;cpio;cmd:cpio;tests of the real camera device fail
test;optional;xz-utils;cmd:xz;tests of the real camera device fail
test;optional;libegl1;lib:libEGL.so.1;tests of the studio's renderer fail
test;optional;libgl1;lib:libGL.so.1;tests of the studio's renderer fail
test;optional;libgl1-mesa-dri;cmd:;tests of the studio's renderer fail
test;optional;pocketsphinx-testdata;cmd:;tests of the mouth on recorded people fail
test;optional;asterisk-core-sounds-en;cmd:;tests of the mouth on recorded people fail
test;optional;asterisk-core-sounds-en-g722;cmd:;tests of the mouth on recorded people fail
test;optional;asterisk-core-sounds-es-g722;cmd:;no figures of the lips on recorded Spanish (make lips-evaluate)
test;optional;asterisk-core-sounds-fr-g722;cmd:;no figures of the lips on recorded French
test;optional;asterisk-core-sounds-it-g722;cmd:;no figures of the lips on recorded Italian
test;optional;asterisk-core-sounds-ru-g722;cmd:;no figures of the lips on recorded Russian
test;optional;libelf1t64|libelf1;lib:libelf.so.1;tests of the real camera device fail
END
}

installed() {
  [[ ${dpkg_state[$1]:-} == installed ]]
}

# One dpkg-query for all names: this runs on every "make install" and must not be felt.
declare -A dpkg_state=()
read_dpkg_state() {
  command -v dpkg-query >/dev/null || return 0
  local name state
  # shellcheck disable=SC2016 # ${...} is dpkg-query's own format
  { dpkg-query -W -f '${Package} ${db:Status-Status}\n' "$@" 2>/dev/null || true; } \
    | while read -r name state; do dpkg_state[$name]=$state; done
}

probe() {
  local kind=${1%%:*} names=${1#*:} name
  case $kind in
    cmd)
      for name in ${names//,/ }; do command -v "$name" >/dev/null && return 0; done
      return 1
      ;;
    # Not "| grep -q": it closes the pipe early, and pipefail turns the SIGPIPE into "not found".
    lib) [[ $(PATH=$PATH:/sbin:/usr/sbin ldconfig -p 2>/dev/null) == *"$names ("* ]] ;;
    py)
      if [[ $names == venv ]]; then
        "$python" -c 'import ensurepip, venv' 2>/dev/null
      else
        "$python" -c 'import pathlib as p, sysconfig as s, sys
sys.exit(not (p.Path(s.get_path("include")) / "Python.h").is_file())'
      fi
      ;;
  esac
}

# missing[i] = "need;alternatives;loss"
missing=()
find_missing() {
  missing=()
  local set need names test loss name found row rows=() alternatives=()
  mapfile -t rows < <(packages)
  for row in "${rows[@]}"; do
    IFS=';' read -r set need names test loss <<<"$row"
    [[ $set == run || $wanted == test ]] || continue
    IFS='|' read -ra alternatives <<<"$names"
    found=
    for name in "${alternatives[@]}"; do installed "$name" && found=1; done
    [[ -n $found ]] || probe "$test" || missing+=("$need;$names;$loss")
  done
}

look() {
  local rows=() names=() row
  mapfile -t rows < <(packages)
  for row in "${rows[@]}"; do
    IFS='|' read -ra row <<<"$(cut -d';' -f3 <<<"$row")"
    names+=("${row[@]}")
  done
  read_dpkg_state "${names[@]}" pipewire-pulse pulseaudio
  find_missing
}

# Print, of each "a|b" of the arguments, the first that apt can install, else nothing.
installable() {
  local names name alternatives
  for names in "$@"; do
    IFS='|' read -ra alternatives <<<"$names"
    for name in "${alternatives[@]}"; do
      # Ubuntu's chromium-browser only fetches a snap; where no snapd runs, its installation fails.
      [[ $name != chromium-browser ]] || command -v snap >/dev/null || continue
      if [[ $(apt-cache policy "$name" 2>/dev/null) =~ Candidate:\ [^\(] ]]; then
        echo "$name"
        break
      fi
    done
  done
}

# How to become root: as=() for root itself. Returns 1 where there is no way to.
as=()
privileged() {
  [[ $(id -u) -ne 0 ]] || return 0
  command -v sudo >/dev/null || return 1
  if sudo -n true 2>/dev/null; then
    as=(sudo -n)
  elif [[ -t 0 && -t 2 && -z ${CI:-} ]]; then
    echo "Installing system packages needs your password (Ctrl-C: go on without)." >&2
    sudo -v || return 1
    as=(sudo)
  else
    return 1
  fi
}

apt() {
  # --no-remove: nothing of the user's may go (PulseAudio conflicts with some PipeWire packages).
  "${as[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=180 "$@" </dev/null
}

install_missing() {
  local names=() targets=() name
  for name in "${missing[@]}"; do names+=("$(cut -d';' -f2 <<<"$name")"); done
  mapfile -t targets < <(installable "${names[@]}")
  if ((${#targets[@]} < ${#names[@]})); then # A fresh container has no package lists yet.
    apt update || echo "apt-get update failed; trying with the lists at hand." >&2
    mapfile -t targets < <(installable "${names[@]}")
  fi
  ((${#targets[@]})) || return 0
  echo "Installing system packages: ${targets[*]}"
  apt install --no-install-recommends --no-remove "${targets[@]}" && return 0
  # Lists may be stale, and one package that can't come must not keep the others out.
  apt update || true
  for name in "${targets[@]}"; do
    apt install --no-install-recommends --no-remove "$name" || echo "Could not install $name." >&2
  done
}

report() {
  local need names loss row essential="" commands=()
  echo "Missing on this system:"
  for row in "${missing[@]}"; do
    IFS=';' read -r need names loss <<<"$row"
    commands+=("$(installable "$names")")
    [[ -n ${commands[-1]} ]] || commands[-1]=${names%%|*}
    printf '  %-20s %s%s\n' "${commands[-1]}" "$loss" "$([[ $need == optional ]] || echo ' [essential]')"
    [[ $need == optional ]] || essential=1
  done
  if command -v apt-get >/dev/null; then
    echo "This installs it:"
    echo "  sudo apt-get update && sudo apt-get install --no-install-recommends ${commands[*]}"
  else
    echo "There is no apt here: install what your distribution calls these, then run make again."
  fi
  if [[ " ${commands[*]} " == *" chromium "* ]] && grep -qs '^ID=ubuntu' /etc/os-release; then
    echo "Ubuntu has Chromium only as a snap (snap install chromium); Google's .deb of Chrome does as well."
  fi
  if [[ -n $essential ]]; then
    echo "Without the essential ones vcam_talker can't run."
    return 1
  fi
  echo "Going on without; 'vcam-talker doctor' repeats what is missing."
}

look
if ((${#missing[@]} == 0)); then
  echo "System packages for '$wanted': all there."
  exit 0
fi
if [[ -n $dry_run ]]; then
  report
  exit
fi
if [[ -z ${VCAM_TALKER_NO_APT:-} ]] && command -v apt-get >/dev/null && privileged; then
  install_missing
  look
fi
((${#missing[@]} == 0)) || report

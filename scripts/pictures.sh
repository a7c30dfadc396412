#!/usr/bin/env bash
# Make the pictures of the README again: the page with the presenter on air, and a short animation.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
mkdir -p docs/images out
.venv/bin/python -m pytest tests/real/test_on_air.py -k viewer
ffmpeg -v error -y -i out/on-air.png -vf scale=1200:-2:flags=lanczos -q:v 4 docs/images/on-air.jpg
.venv/bin/vcam-talker render --emotion happy --out out/hello.mp4 \
	--text "Hi, I'm Mira! I live on your virtual camera."
ffmpeg -v error -y -i out/hello.mp4 -an -c:v libwebp_anim -loop 0 -q:v 60 -compression_level 6 \
	-vf "fps=15,crop=800:720:240:0,scale=480:-2:flags=lanczos" docs/images/hello.webp
ls -l docs/images

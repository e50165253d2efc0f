#!/bin/sh
# billboard_test.sh KLING BILLBOARD: the game loop runs on the simulator, without a display and, where
# there is Xvfb, with one.
set -eu
kling=$1 billboard=$2
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
command -v ffmpeg >/dev/null || exit 77
folder=$(mktemp -d)
service=
trap '[ -z "$service" ] || kill "$service" 2>/dev/null; rm -rf "$folder"' EXIT
cd "$folder"
"$kling" sim --quiet --speed 200 >address &
service=$!
while [ ! -s address ]; do sleep 0.05; done
KLING_BASE_URL=$(cat address) KLING_API_KEY=sk-any
export KLING_BASE_URL KLING_API_KEY

SDL_VIDEODRIVER=dummy "$billboard" "$here/billboard.lua" dummy.bmp
[ "$(wc -c <dummy.bmp)" -gt 1000000 ]
if command -v xvfb-run >/dev/null && command -v xauth >/dev/null; then
  SDL_VIDEODRIVER=x11 xvfb-run -a "$billboard" "$here/billboard.lua" x11.bmp
  [ "$(wc -c <x11.bmp)" -gt 1000000 ]
fi
[ -z "${PICTURE:-}" ] || ffmpeg -v error -y -i dummy.bmp "$PICTURE"

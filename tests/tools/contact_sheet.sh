#!/bin/sh
# contact_sheet.sh FILM PICTURE FIRST...: one column for each shot: its first, middle and last frame
# as the film shows them. FIRST... are the numbers of the frames where shots begin; the film's frame
# count comes last. Where shots are chained, a column goes on where the one before it ended.
set -eu
film=$1 picture=$2
shift 2
shots=$(($# - 1)) frames=
while [ $# -gt 1 ]; do
  frames="$frames${frames:++}eq(n,$1)+eq(n,$((($1 + $2) / 2)))+eq(n,$(($2 - 1)))"
  shift
done
width=$(((1280 - 6 * (shots - 1)) / shots / 2 * 2))
[ "$width" -le 320 ] || width=320
ffmpeg -nostdin -loglevel error -y -i "$film" -frames:v 1 -vf "select='$(printf %s "$frames" |
  sed 's/,/\\,/g')',scale=$width:-2,tile=1x3:padding=2,tile=${shots}x1:padding=6:color=white,split[a][b];
[a]palettegen=max_colors=255[p];[b][p]paletteuse=dither=bayer:bayer_scale=4" "$picture"

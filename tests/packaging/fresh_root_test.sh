#!/bin/sh
# fresh_root_test.sh BUILD: installs the Debian package into a bare Debian 12, and uses what it brings there.
# Skipped (77) where no such root can be made: without root's rights, debootstrap or the network.
set -eu
if [ "$(id -u)" != 0 ] || ! command -v debootstrap >/dev/null; then
  echo 'skipped: no debootstrap, or not root'
  exit 77
fi
build=$1
folder=$(mktemp -d)
trap 'umount -q "$folder/root/proc" || true; rm -rf --one-file-system "$folder"' EXIT
root=$folder/root
debootstrap --variant=minbase bookworm "$root" >"$folder/log" 2>&1 ||
  { tail -n 3 "$folder/log"; echo 'skipped: debootstrap cannot work here'; exit 77; }
cp /etc/resolv.conf /etc/hosts "$root/etc/"
mountpoint -q "$root/proc" || mount -t proc proc "$root/proc" || { echo 'skipped: mount cannot work here'; exit 77; }
cpack --config "$build/CPackConfig.cmake" -B "$folder/package" >"$folder/log" 2>&1 ||
  { cat "$folder/log"; exit 1; }
cp "$folder"/package/*.deb "$root/srv/kling.deb"

inside() { env -i HOME=/srv PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 chroot "$root" "$@"; }
inside apt-get -q update >"$folder/log" 2>&1 || { tail -n 3 "$folder/log"; echo 'skipped: no packages'; exit 77; }
inside env DEBIAN_FRONTEND=noninteractive apt-get -qy install /srv/kling.deb lua5.4 man-db \
  >"$folder/log" 2>&1 || { tail -n 20 "$folder/log"; exit 1; }

inside kling version
inside sh -c 'cd /srv && exec kling run --sim --speed 600 /usr/share/kling/scripts/continue_shot.lua film.mp4'
inside ffprobe -v error -show_entries stream=nb_frames /srv/film.mp4
inside lua5.4 -e 'assert(require "kling".sleep(0) == nil)'
inside man -w kling
for file in bash-completion/completions/kling zsh/vendor-completions/_kling fish/vendor_completions.d/kling.fish; do
  [ -s "$root/usr/share/$file" ]
done
# Of what a bare root lacks, only a key and, perhaps, the service.
inside kling doctor >"$folder/doctor" || true
! grep '^problem' "$folder/doctor" | grep -vE '^problem +(key|dns|connection|tls|service) '

#!/bin/sh
# in_debian.sh SUITE COMMAND...: runs COMMAND in a checkout of this tree inside a bare Debian of that
# suite (bookworm, trixie). Root and compiler cache are kept, so a second time is quick;
# KLING_ROOTS says where (~/.cache/kling-dev/roots). Ends with 77 where no such root can be made:
# without root's rights, debootstrap or the network.
set -eu
suite=$1
shift
source=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
roots=${KLING_ROOTS:-${XDG_CACHE_HOME:-$HOME/.cache}/kling-dev/roots}
root=$roots/$suite

skip() { echo "skipped: $*"; exit 77; }
[ "$(id -u)" = 0 ] || skip 'a root can only be made by root'
command -v debootstrap >/dev/null || skip 'no debootstrap'
mkdir -p "$roots"
if [ ! -d "$root" ]; then
  rm -rf --one-file-system "$root.new"
  debootstrap --variant=minbase "$suite" "$root.new" >"$roots/log" 2>&1 ||
    { tail -n 3 "$roots/log"; skip 'debootstrap cannot work here'; }
  umount -q "$root.new/proc" || true
  mv "$root.new" "$root"
fi
trap 'umount -q "$root/dev/pts" || true; umount -q "$root/proc" || true' EXIT
cp /etc/resolv.conf /etc/hosts "$root/etc/"
mountpoint -q "$root/proc" || mount -t proc proc "$root/proc" || skip 'mount cannot work here'
mkdir -p "$root/dev/pts"
mountpoint -q "$root/dev/pts" ||
  mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts" || skip 'mount cannot work here'

# What was built before stays; what is no longer in the tree goes.
checkout=$root/srv/kling
mkdir -p "$checkout"
find "$checkout" -mindepth 1 -maxdepth 1 ! -name build -exec rm -rf {} +
(cd "$source" && git ls-files -z --cached --others --exclude-standard |
  tar -c --null --ignore-failed-read --files-from=- 2>/dev/null) | tar -x -C "$checkout"

env -i HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 \
  TERM=dumb ${CI:+CI="$CI"} chroot "$root" sh -c 'cd /srv/kling && exec "$@"' sh "$@"

#!/bin/sh
# statics.sh ARCHIVE...: a host that is destroyed leaves its workers behind when a look-up hangs, and
# main may end before they do. So no object of theirs has a destructor that runs at exit; what only
# says that streams exist, which cpp-httplib's header brings, has nothing to lose.
set -eu
found=$(nm -A -C "$@" 2>/dev/null | awk '
  { file = $1; sub(/:[0-9a-f]*$/, "", file) }
  /__cxa_atexit/ { destroys[file] = 1 }
  /std::__ioinit/ { streams[file] = 1 }
  END { for (file in destroys) if (!(file in streams)) print file }')
[ -z "$found" ] || { printf 'destroys something at exit: %s\n' $found; exit 1; }

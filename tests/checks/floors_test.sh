#!/bin/sh
# floors.sh must accept a good tree, and refuse it with any one of these faults, naming the file.
set -eu
checks=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
failures=0

good_tree() {
  rm -rf "$tree/house"
  mkdir "$tree/house"
  cd "$tree/house"
  mkdir -p bindings/base bindings/api bindings/net bindings/engine bindings/lua host/sim host/cli \
    scripts tests/net tests/lua docs build
  echo '# kling' >README.md
  echo '#include "base/error.h"' >bindings/api/decoder.h
  printf '#include <httplib.h>\n#include <net/if.h>\n#include "api/decoder.h"\n' >bindings/net/http.cpp
  echo '#include <sqlite3.h>' >bindings/engine/ledger_sqlite.cpp
  printf '#include <lua.hpp>\n#include "engine/driver.h"\n' >bindings/lua/module.cpp
  printf '#include <httplib.h>\n#include "base/error.h"\n#include "sim/server.h"\n' >host/sim/server.cpp
  printf '#include <lua.hpp>\n#include "lua/module.h"\n#include "sim/server.h"\n' >host/cli/run.cpp
  echo 'server.listen("127.0.0.1", 0); sleep_for(milliseconds(5)); kling.sleep(60);' >tests/net/http.cpp
}

# refuses FILE LINE...: a good tree with these lines added to FILE is refused, because of FILE.
refuses() {
  good_tree
  file=$1
  shift
  mkdir -p "$(dirname "$file")"
  printf '%s\n' "$@" >>"$file"
  if output=$(sh "$checks/floors.sh" .); then
    echo "not refused: $file with: $1"
  elif ! printf '%s\n' "$output" | grep -qE "^$file:[0-9]+: ." || [ "$(echo "$output" | wc -l)" != 1 ]; then
    echo "refused, but not for $file: $output"
  else
    return 0
  fi
  failures=$((failures + 1))
}

good_tree
sh "$checks/floors.sh" . || { echo 'a good tree was refused'; failures=1; }

refuses bindings/base/error.cpp '#include "api/decoder.h"'
refuses bindings/net/up.h '#  include "engine/driver.h"'
refuses bindings/engine/up.cpp '#include "lua/module.h"'
refuses bindings/lua/up.cpp '#include "sim/server.h"'
refuses host/cli/stray.cpp '#include "../../bindings/lua/module.h"'
refuses host/sim/client.cpp '#include "net/transport.h"'
refuses host/sim/script.cpp '#include <lua.hpp>'
refuses bindings/engine/http.cpp '#include <httplib.h>'
refuses tests/lua/http.cpp '#include "httplib.h"'
refuses bindings/engine/state.cpp '#include <lua.h>'
refuses bindings/engine/driver.cpp '#include <sqlite3.h>'
refuses notes.md 'a stray file'
# shellcheck disable=SC2046 # one line a word
refuses bindings/lua/prelude.lua $(seq 501)
refuses scripts/film.lua '-- TODO: the end'
refuses docs/usage.md 'run /home/me/kling/dev'
refuses tests/net/port.cpp 'server.listen("127.0.0.1", 8080);'
refuses tests/net/port.cpp 'run({"kling", "sim", "--port", "8080"});'
refuses tests/net/slow.cpp 'std::this_thread::sleep_for(std::chrono::seconds(2));'
refuses tests/net/slow.cpp 'std::this_thread::sleep_for(2s);'
refuses tests/net/slow.cpp 'sleep_for(std::chrono::milliseconds(1500));'
refuses tests/net/slow.cpp 'sleep(1);'

[ "$failures" = 0 ] || { echo "$failures of the faults were not caught"; exit 1; }

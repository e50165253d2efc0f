#!/bin/sh
# packaging_test.sh BUILD: installs into a temporary prefix; other people's projects are built from
# there, with the examples of docs/embedding.md, and run against the simulator.
set -eu
tests=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
build=$1
folder=$(mktemp -d)
service=
trap '[ -z "$service" ] || kill "$service" 2>/dev/null; rm -rf "$folder"' EXIT
failures=0

# expect WHAT EXPECTED PROGRAM...
expect() {
  what=$1 expected=$2
  shift 2
  if ! output=$("$@" 2>"$folder/messages") || [ "$output" != "$expected" ]; then
    echo "$what: \"$output\" instead of \"$expected\""
    cat "$folder/messages"
    failures=$((failures + 1))
  fi
}

# 1. The tree.
prefix=$folder/prefix
cmake --install "$build" --prefix "$prefix" >/dev/null
mv "$prefix" "$folder/moved"  # nothing in it knows where it was
prefix=$folder/moved
lib=$(dirname "$(find "$prefix" -name libkling.so)")
examples=$folder/examples
mkdir "$examples"
awk -v to="$examples" '/^```[a-z]+ [a-z_.]+$/ { file = to "/" $2; next } /^```/ { file = "" }
                       file { print > file }' "$tests/../docs/embedding.md"

cd "$folder"
KLING_API_KEY=sk-any
export KLING_API_KEY
"$prefix/bin/kling" sim --quiet --speed 1000 >address &
service=$!
while [ ! -s address ]; do sleep 0.05; done
KLING_BASE_URL=$(cat address)
export KLING_BASE_URL
XDG_STATE_HOME=$folder/state
export XDG_STATE_HOME

for page in README.md docs/embedding.md docs/cast.png; do
  [ -f "$prefix/share/doc/kling/$page" ] ||
    { echo "share/doc has no $page"; failures=$((failures + 1)); }
done

# 2. CMake.
cmake -S "$tests/packaging/consumer" -B consumer -DCMAKE_PREFIX_PATH="$prefix" -DEXAMPLES="$examples" \
  -DCMAKE_BUILD_TYPE=Debug -G Ninja >configured 2>&1 || { cat configured; exit 1; }
cmake --build consumer >built 2>&1 || { cat built; exit 1; }
for kind in '' _static; do
  expect "host_c$kind" '["text2video"]' "consumer/host_c$kind"
  expect "host_cpp$kind" '[5.041]' "consumer/host_cpp$kind"
  expect "game_cpp$kind" 'spawn ["north"]
[7]' "consumer/game_cpp$kind"
  case $("consumer/own_lua$kind" 2>messages) in
    [0-9]*) ;;
    *) echo "own_lua$kind gave no id"; cat messages; failures=$((failures + 1)) ;;
  esac
done
[ ! -x consumer/loop ] || expect loop done consumer/loop
# With our sources within theirs, the same names; that they compile is shown elsewhere.
cmake -S "$tests/packaging/consumer" -B within -DKLING_SOURCE="$tests/.." -DEXAMPLES="$examples" \
  -G Ninja >configured 2>&1 || { cat configured; exit 1; }

# 3. pkg-config.
PKG_CONFIG_PATH=$lib/pkgconfig
export PKG_CONFIG_PATH
# shellcheck disable=SC2046 # flags
cc -o by_pkg_config examples/host.c $(pkg-config --cflags --libs kling) -Wl,-rpath,"$lib"
expect 'pkg-config kling' '["text2video"]' ./by_pkg_config
# shellcheck disable=SC2046
cc -o module_by_pkg_config examples/own_lua.c $(pkg-config --cflags --libs kling-module lua5.4)
./module_by_pkg_config >/dev/null || { echo 'pkg-config kling-module'; failures=$((failures + 1)); }

# 4. What is exported, and under which name.
nm -D --defined-only --format=just-symbols "$lib/libkling.so" |
  grep -vE '^(kling_(host|exchange|call)_[a-z_]+|KLING_0)(@@KLING_0)?$' && failures=$((failures + 1))
readelf -d "$lib/libkling.so" | grep -q 'SONAME.*\[libkling.so.0\]' || { echo soname; exit 1; }

# What is inside has no name outside: neither Lua nor SQLite, in libraries or archives.
nm -D "$lib/libkling.so" | grep -E ' (lua|sqlite3)' && failures=$((failures + 1))
nm -D --undefined-only "$lib/lua/5.4/kling.so" | grep ' sqlite3' && failures=$((failures + 1))
nm --extern-only --defined-only "$lib/libkling.a" "$lib/libkling-module.a" |
  grep -E '^[0-9a-f]+ . ' | grep -vE ' (kling_[a-z_]+|luaopen_kling)$' && failures=$((failures + 1))
if pkg-config --exists luajit && command -v luajit >/dev/null; then
  # shellcheck disable=SC2046
  cc -o two_luas "$tests/packaging/two_luas.c" -rdynamic $(pkg-config --cflags --libs luajit kling) -Wl,-rpath,"$lib"
  expect 'beside LuaJIT' 'Lua 5.4 ["text2video"] Lua 5.1' ./two_luas
  # shellcheck disable=SC2046
  cc -o two_luas_static "$tests/packaging/two_luas.c" -rdynamic $(pkg-config --cflags --libs luajit kling-static)
  expect 'an archive beside LuaJIT' 'Lua 5.4 ["text2video"] Lua 5.1' ./two_luas_static
  expect "LuaJIT's FFI" '["Lua 5.4","A kite for Ann"]	Lua 5.1' luajit "$examples/ffi.lua" "$lib/libkling.so.0"
else
  echo 'LuaJIT is not installed: a program with two Luas is not tried'
fi

if command -v python3 >/dev/null; then
  expect "Python's ctypes" 'one.lua True' python3 "$examples/tool.py" "$lib/libkling.so.0"
else
  echo 'python3 is not installed: the tool of docs/embedding.md is not tried'
fi
if pkg-config --exists sdl2; then
  # shellcheck disable=SC2046
  cc -Wall -Wextra -Werror -o sdl "$examples/sdl.c" $(pkg-config --cflags --libs sdl2 kling) -Wl,-rpath,"$lib"
  expect 'SDL2' succeeded env SDL_VIDEODRIVER=dummy ./sdl
else
  echo 'SDL2 is not installed: its loop is not tried'
fi

# 5. Stock interpreters.
LUA_CPATH_5_4="$lib/lua/5.4/?.so"
export LUA_CPATH_5_4
! command -v lua5.4 >/dev/null || expect 'lua5.4' text2video lua5.4 "$examples/stock.lua"

if command -v luarocks >/dev/null; then
  (cd "$tests/.." &&
    luarocks --lua-version 5.4 make --tree "$folder/rock" third_party/kling-scm-1.rockspec) \
    >rock.log 2>&1 || { cat rock.log; exit 1; }
  expect 'the rock' text2video \
    env LUA_CPATH_5_4="$folder/rock/lib/lua/5.4/?.so" lua5.4 "$examples/stock.lua"
else
  echo 'luarocks is not installed: the rock is not built'
fi

# 6. The Debian package: what is in it runs, from wherever it is unpacked.
if command -v dpkg-deb >/dev/null && command -v dpkg-shlibdeps >/dev/null; then
  cpack --config "$build/CPackConfig.cmake" -B "$folder/package" >packed 2>&1 || { cat packed; exit 1; }
  deb=$(echo package/*.deb)
  dpkg-deb -I "$deb" | grep -q 'Depends:.*libc6.*' || { echo 'no Depends'; failures=$((failures + 1)); }
  dpkg-deb -x "$deb" root
  expect 'the packaged program' '' root/usr/bin/kling run /dev/null
  expect 'the packaged module' text2video \
    env LUA_CPATH_5_4="$(dirname "$(find root -name kling.so)")/?.so" lua5.4 "$examples/stock.lua"
  for owner in Lua.org 'D. Richard Hipp' 'Niels Lohmann'; do
    grep -q "$owner" root/usr/share/doc/kling/copyright ||
      { echo "no licence of $owner"; failures=$((failures + 1)); }
  done
  [ -s root/usr/share/bash-completion/completions/kling ] || { echo 'no completion'; exit 1; }
fi

exit "$failures"

#!/bin/sh
# Holds the house to its plan (docs/architecture.md): floors.sh [TREE]. Prints a line for each
# thing that breaks it, "file:line: why", and fails if there is one. floors_test.sh proves each rule.
set -u
cd "${1:-$(dirname -- "$0")/../..}" || exit 2

# Turns "file:line:text" into "file:line: why".
because() { sed -E "s|^([^:]*:[0-9]+):.*|\1: $1|"; }

# source_lines PATTERN FOLDER...: the lines of program text that match an extended expression.
source_lines() {
  pattern=$1
  shift
  grep -rnHE --include='*.cpp' --include='*.h' --include='*.hpp' --include='*.c' "$pattern" "$@" \
    2>/dev/null
}

# text_lines PATTERN: the same in everything people read or run, but for these checks themselves.
text_lines() {
  grep -rnHIE --exclude-dir=checks "$1" bindings host scripts tests docs third_party .ci dev \
    README.md CMakeLists.txt CMakePresets.json 2>/dev/null
}

includes() {
  source_lines '^[[:space:]]*#[[:space:]]*include' bindings host tests | awk -F : '
    function refuse(why) { print $1 ":" $2 ": " why }
    BEGIN { count = split("base api net engine lua", order, " ")
            for (i = 1; i <= count; ++i) height[order[i]] = i }
    {
      header = $3
      sub(/^[^"<]*["<]/, "", header); sub(/[">].*$/, "", header)
      quoted = $3 ~ /include[ \t]*"/
      target = header; if (!sub(/\/.*/, "", target)) target = ""
      split($1, part, "/")
    }
    header ~ /\.\.\// { refuse("includes " header ": write \"floor/file.h\""); next }
    quoted && target && part[1] == "bindings" &&
      (!(target in height) || height[target] > height[part[2]]) {
        refuse(header " is above the floor " part[2]) }
    quoted && target && part[1] "/" part[2] == "host/sim" && target !~ /^(base|sim)$/ {
      refuse("the simulator knows only base, not " header) }
    header == "httplib.h" && $1 !~ /^(bindings\/net|host\/sim|tests\/(net|sim|support|bench))\// {
      refuse("httplib.h belongs to bindings/net and host/sim") }
    header ~ /^(lua5\.4\/)?(lua|lauxlib|lualib|luaconf)\.h(pp)?$/ &&
      ($1 !~ /^(bindings\/lua|host|tests\/(lua|repl|runtime|safe|host|embed|packaging|support|story|foreign))\// || $1 ~ /^host\/sim\//) {
        refuse(header " belongs to bindings/lua and host") }
    header == "sqlite3.h" && $1 !~ /^((bindings|tests)\/engine\/ledger|tests\/cli\/(fixture|ledger_file))/ {
      refuse("sqlite3.h belongs to the ledger of bindings/engine") }'
}

top_level() {
  for entry in *; do
    case $entry in
      host | bindings | scripts | tests | third_party | docs | CMakeLists.txt | CMakePresets.json | \
        README.md | LICENSE | dev) ;;
      build | out | compile_commands.json) ;;  # made by tools, ignored by git
      *) echo "$entry:1: does not belong at the top level" ;;
    esac
  done
}

# The editor types are written by the program.
long_files() {
  find bindings host scripts -type f -not -path 'scripts/types/*' \
    \( -name '*.cpp' -o -name '*.h' -o -name '*.hpp' -o -name '*.c' -o -name '*.lua' \) \
    -exec awk 'FNR == 501 { print FILENAME ":501: a file has at most 500 lines" }' {} +
}

unfinished() { text_lines '\b(TODO|FIXME|XXX|HACK|TBD|WIP)\b' | because 'an unfinished mark'; }

machine_paths() {
  text_lines '(^|[^A-Za-z0-9_.-])/(work|root|home|Users)/' | because 'a path of one machine'
}

fixed_ports() {
  source_lines '(\b(listen|bind_to_port)\("[^"]*", *|"--port(=|", *"))[1-9]' tests |
    because 'a fixed port: bind to port 0'
}

real_sleeps() {
  source_lines '(sleep_for|wait_for)\(.*(\bseconds[({]|[0-9]s\)|\b[0-9]{4,}ms|milliseconds[({][0-9]{4,})|(^|[^.[:alnum:]_])u?sleep\([0-9]' tests |
    grep -v '^tests/soak/' |  # real time is what it is about
    because 'a real sleep: use the fake clock'
}

findings=$(includes; top_level; long_files; unfinished; machine_paths; fixed_ports; real_sleeps)
[ -z "$findings" ] || { printf '%s\n' "$findings"; exit 1; }

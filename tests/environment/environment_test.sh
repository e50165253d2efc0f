#!/bin/sh
# A chain on --sim under what parents do to a program: closed descriptors, few descriptors, no home,
# ignored and blocked signals. Each row ends with the film, pays once, and its children start with
# nothing blocked. usage: environment_test.sh KLING ROW
# shellcheck disable=SC3045 # ulimit -n
set -eu
kling=$1
row=$2
folder=$(mktemp -d)
trap 'chmod -R u+w "$folder"; rm -rf "$folder"' EXIT
mkdir "$folder/home"
cd "$folder"
unset KLING_API_KEY COMETAPI_KEY KLING_BASE_URL
export HOME="$folder/home"

# As a child of ours has it: what this test itself inherits is not the program's doing. Of 32 and 33,
# glibc's own, posix_spawn makes what it likes: the last 7 digits are the signals below.
ignored() { grep '^SigIgn' /proc/self/status | tail -c 8; }
case $row in
  pipe) normal=$(trap '' PIPE && ignored) ;;
  hup) normal=$(trap '' HUP && ignored) ;;
  *) normal=$(ignored) ;;
esac

cat >film.lua <<'LUA'
local kling = require "kling"
local shot = kling.text2video { prompt = "A lighthouse at dusk" }:wait()
local storm = kling.image2video { image = shot:last_frame(), prompt = "The storm" }:wait()
kling.concat({ shot, storm }, "film.mp4")
local function signals(how, text)
  local file <close> = assert(io.open(how .. ".signals", "w"))
  file:write(text)
end
os.execute "grep -E '^Sig(Blk|Ign)' /proc/self/status >execute.signals"
local child <close> = assert(io.popen "grep -E '^Sig(Blk|Ign)' /proc/self/status")
signals("popen", child:read "a")
LUA

run() { "$kling" run --sim --speed 1000 film.lua; }
case $row in
  plain) run >out 2>err ;;
  stdin) run >out 2>err <&- ;;
  stdout) run 2>err >&- ;;
  stderr) run >out 2>&- ;;
  none) run <&- >&- 2>&- ;;
  small)  # the ledger is larger than a file may be
    (ulimit -f 8 && run) >out 2>err && exit 1
    grep "ulimit -f" err && run >out 2>err
    ;;
  files) (ulimit -n 24 && run) >out 2>err 3>&- ;;  # of which the test runner has left one open
  few)  # what is missing is told
    for n in 4 6 7 8 9 10 11 12; do
      rm -rf .kling film.mp4
      (ulimit -n $n && run) >out 2>err 3>&- || grep "ulimit -n" err || { cat err && exit 1; }
    done
    run >out 2>err
    ;;
  homeless) (unset HOME && run) >out 2>err ;;
  readonly) chmod 555 home && run >out 2>err ;;
  chld) (trap '' CHLD && run) >out 2>err ;;
  pipe) (trap '' PIPE && run) >out 2>err ;;
  hup) (trap '' HUP && run) >out 2>err ;;
  mask) env --block-signal "$kling" run --sim --speed 1000 film.lua >out 2>err ;;
  *) echo "unknown row $row" >&2 && exit 2 ;;
esac

fail() {
  echo "$row: $1" >&2
  head -50 out err ./*.signals >&2 || true
  exit 1
}
[ "$(wc -c <film.mp4)" -gt 10000 ] || fail "there is no film"
[ "$("$kling" jobs list --sim --json | grep -c '"state":"succeeded"')" = 2 ] || fail "not two jobs"
for how in execute popen; do
  grep -q 'SigBlk:.0000000000000000' $how.signals || fail "os.$how: signals are blocked"
  grep -q "SigIgn.*$normal\$" $how.signals || fail "os.$how: other signals are ignored than $normal"
done
# Once more, after what the row did: everything is there, and nothing is sent.
"$kling" run --sim --speed 1000 film.lua >out 2>err || fail "the second run"
grep -q "0 submitted, 2 reused" err || fail "the second run paid"

#!/bin/sh
# Drives the program in a real terminal, tmux, and compares what the screen shows:
# terminal_test.sh KLING SCENARIO. Each step waits until its text appears, at most two minutes.
set -u
command -v tmux >/dev/null || exit 77
kling=$1 scenario=$2
folder=$(mktemp -d)
socket=$folder/tmux
trap 'terminal kill-server 2>/dev/null; rm -rf "$folder"' EXIT
unset KLING_API_KEY COMETAPI_KEY KLING_BASE_URL KLING_POLL_INTERVAL NO_COLOR TMUX
export HOME="$folder" XDG_STATE_HOME="$folder/state" LC_ALL=C.UTF-8

terminal() { tmux -S "$socket" -f /dev/null "$@"; }
screen() { terminal capture-pane -p -t main; }
keys() { terminal send-keys -t main "$@"; }

# begin COLUMNS ROWS COMMAND: a terminal in which the command runs; skips where none can be had.
begin() {
  terminal new-session -d -s main -x "$1" -y "$2" -c "$folder" "$3" 2>"$folder/refusal" || {
    echo "skipped: no terminal device ($(cat "$folder/refusal"))"
    exit 77
  }
}
# open COLUMNS ROWS COMMAND...: the same, and then nothing.
open() {
  columns=$1 rows=$2
  shift 2
  begin "$columns" "$rows" "exec 2>&1; $*; echo \"exit code \$?\"; cat"
}

fail() {
  echo "$scenario: $1; the screen:"
  screen | sed '/^ *$/d; s/^/| /'
  exit 1
}

# shows TEXT...: waits until each text stands on the screen (a basic regular expression).
shows() {
  for text; do
    tries=0
    until screen | grep -q -- "$text"; do
      tries=$((tries + 1))
      [ "$tries" -lt 1200 ] || fail "no \"$text\""
      sleep 0.1
    done
  done
}
shows_not() { ! screen | grep -q -- "$1" || fail "\"$1\" is there"; }
# last TEXT: waits until the last line with something in it is exactly the text.
last() {
  tries=0
  until [ "$(screen | sed '/^ *$/d' | tail -n 1)" = "$1" ]; do
    tries=$((tries + 1))
    [ "$tries" -lt 1200 ] || fail "the last line is not \"$1\""
    sleep 0.1
  done
}
repl() { open "$1" "$2" "$kling repl --sim --speed $3"; shows 'nothing is paid' '^kling>'; }

case $scenario in
  typing)
    repl 80 24 60
    keys 'x = { b = "é", 1 }' Enter x Enter
    shows '{ 1, b = "é" }'
    keys 'for i = 1, 2 do' Enter
    last '    ->'
    keys 'print("round " .. i) end' Enter
    shows '^round 1$' '^round 2$'
    keys 'half a line'
    shows '^kling> half a line$'
    keys C-c 'again = 1' Enter 'again' Enter
    last 'kling>'
    shows '^kling> half a line^C$' '^1$'
    keys Up Up Enter Up Up Up  # the history
    shows '^kling> again = 1$'
    keys C-c C-d
    shows '^exit code 0$'
    grep -q '^again = 1$' "$folder/state/kling/history" || fail 'the history was not kept'
    ;;
  nokey)
    open 80 24 "$kling repl"
    shows 'no key (KLING_API_KEY); kling repl --sim'
    ;;
  tab)
    repl 80 24 60
    keys 'kling.te' Tab ' { pro' Tab '"A kite", mode = "' Tab
    shows '^4k"   pro"  std"$'
    last 'kling> kling.text2video { prompt = "A kite", mode = "'
    keys s Tab ' }.kind' Enter
    shows '^"text2video"$'
    keys 'kling.multi' Tab '.'
    last 'kling> kling.multi_image2video.'
    keys C-c
    shows 'kling.multi_image2video.^C'
    ;;
  help)
    repl 80 24 600
    keys 'clip = kling.text2video { prompt = "A kite" }:wait()  clip:probe()' Enter
    shows 'in this session if it were real'
    keys jobs Enter
    shows '^[0-9a-f]\{7\}  A kite  succeeded ' '^    A-kite-[0-9a-f-]*\.mp4$'
    keys C-l 'help()' Enter
    shows '^kling> help()$' '^  omni{…}  ' '^  query job request ' '^help(kling.omni), '
    ;;
  interrupt)
    repl 80 24 1
    keys 'kling.text2video { prompt = "A kite over a beach" }:wait()' Enter
    shows '^A kite over a beach  [a-z]* 0:0.*text2video  input:1$' '^0 of 1 done, \$0.00 of about \$0'
    shows '^A kite over a beach  \(queued\|running\)'
    keys C-c
    shows '^interrupted$' '^A kite over a beach goes on (.*): kling.job("[0-9a-f]*"):wait()'
    last 'kling>'
    shows_not 'of 1 done'
    keys jobs Enter
    shows '^[0-9a-f]\{7\}  A kite over a beach  \(queued\|running\) 0:'
    keys .quit Enter
    shows '^open: A kite over a beach (.*) goes on: kling jobs wait --sim [0-9a-f]*$' '^exit code 0$'
    ;;
  background)
    repl 60 24 120
    keys 'job = kling.text2video { prompt = "A kite" }' Enter 'kept = "a line that is longer than the terminal is wide"' Left
    shows '^A kite  succeeded [0-9:]*  text2video  input:1'
    last 'de"'
    screen | sed '/^ *$/d' | sed -n '/^kling>/p; $p' >"$folder/seen"
    printf '%s\n' 'kling> job = kling.text2video { prompt = "A kite" }' \
      'kling> kept = "a line that is longer than the terminal is wi' 'de"' >"$folder/wanted"
    diff "$folder/wanted" "$folder/seen" || fail 'the announcement broke the line'
    keys '!' Enter kept Enter
    shows '^"a line that is longer than the terminal is wide!"$'
    keys 'kling.spawn(function() kling.sleep(60) print("from a task") end)' Enter 'typed'
    shows '^from a task$'
    last 'kling> typed'
    ;;
  resize)
    printf '%s\n' 'local kling = require "kling"' 'for i = 1, 20 do' \
      'kling.text2video { prompt = "日本語の凧 number " .. i }' end >"$folder/film.lua"
    open 70 12 "$kling run --sim --speed 10 --no-store film.lua"
    shows '^日本語の凧 number 1  ' '^and 11 more$' 'of 20 done, \$0.00 of about'
    terminal resize-window -t main -x 40 -y 8
    shows '^and 15 more$'
    [ "$(screen | grep -c '^日本語の凧')" = 5 ] || fail 'not five lines of jobs'
    [ "$(screen | grep -c 'of 20 done')" = 1 ] || fail 'old lines are left'
    terminal resize-window -t main -x 90 -y 24
    shows '^and 8 more$'
    [ "$(screen | grep -c 'of 20 done')" = 1 ] || fail 'old lines are left'
    keys C-c
    shows '20 still open$' '^exit code 130$'
    ;;
  dumb)
    open 80 24 "TERM=dumb $kling repl --sim --speed 600"
    shows '^kling> $\|^kling>$'
    keys '6 * 7' Enter
    shows '^42$'
    keys 'job = kling.text2video { prompt = "A kite" }' Enter
    shows '^A kite  succeeded [0-9:]*  text2video  input:1'
    keys C-d
    shows '^exit code 0$'
    ;;
  stopped)
    begin 80 24 "PS1='shell: ' sh -i"
    keys "$kling repl --sim" Enter
    shows '^kling>'
    keys C-z
    shows 'Stopped'
    keys fg Enter
    last 'kling>'
    keys '6 * 7' Enter
    shows '^42$'
    ;;
  *) fail 'no such scenario' ;;
esac

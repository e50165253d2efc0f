# Sourced by the benches, with the program's path in $kling. A figure is a row of the closing table
# (report.sh): what, measured, beside what, goal, met or not. CPU is user and system time of the
# process; the simulator is another one, and is not counted.
folder=$(mktemp -d)
service=
trap 'kill $service 2>/dev/null; rm -rf "$folder"' EXIT
export KLING_API_KEY=any

# figure WHAT MEASURED UNIT BESIDE GOAL LIMIT [VALUE]: a row; met when VALUE (MEASURED) is no more.
figure() {
  awk -v what="$1" -v a="$2" -v unit="$3" -v beside="$4" -v goal="$5" -v limit="$6" -v value="${7:-$2}" 'BEGIN {
    printf "| %s | " (a == int(a) ? "%d" : "%.2f") " %s | %s | %s | %s |\n", what, a, unit, beside, goal,
      limit == "" ? "" : value + 0 <= limit + 0 ? "met" : "not met" }'
}
# point SERIES N VALUE: of the plots (report.sh).
point() { printf 'point\t%s\t%s\t%s\n' "$1" "$2" "$3"; }
skipped() { printf 'skipped: %s\n' "$*"; }
has() { command -v "$1" >/dev/null; }
median() { tr ' ' '\n' | sort -g | awk 'NF { v[++n] = $1 } END { print v[int((n + 1) / 2)] }'; }
worst() { tr ' ' '\n' | sort -g | awk 'NF { v = $1 } END { print v }'; }
calculate() { awk "BEGIN { print $* }"; }
# cpu COMMAND...: its milliseconds of CPU.
cpu() {
  bash -c 'TIMEFORMAT="%U %S"; time "$@" >out 2>err' - "$@" 2>&1 | awk '{ print ($1 + $2) * 1000 }'
}
# serve OPTIONS...: the simulator, at $address.
serve() {
  stop_service
  "$kling" sim "$@" >"$folder/service" 2>&1 &
  service=$!
  until address=$(grep -o 'http://[0-9.:]*' "$folder/service" | head -n 1) && [ -n "$address" ]; do sleep 0.1; done
}
stop_service() {
  [ -z "$service" ] || { kill "$service" && wait "$service" 2>/dev/null; } || true
  service=
}
# run LEDGER SCRIPT ARGS...: a script that must not fail; what it prints.
run() {
  ledger=$1
  shift
  "$kling" run -q -y --no-store --base-url "$address" --ledger "$ledger" "$@"
}

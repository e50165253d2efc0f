#!/bin/sh
# ledger.sh KLING: what a claim costs in a ledger with many steps, in turn with an empty one.
set -eu
kling=$1
. "$(dirname -- "$0")/common.sh"
has python3 || { skipped 'python3, which fills the ledger, is not installed here'; exit 0; }
cd "$folder"
cat >fill.lua <<'END_OF_SCRIPT'
local kling = require "kling"
local jobs = {}
for i = 1, 50 do jobs[i] = kling.text2video { prompt = "an earlier shot " .. i } end
kling.all(jobs)
END_OF_SCRIPT
# The steps, journals and asks of that run many times over, each under an address of its own.
cat >fill.py <<'END_OF_SCRIPT'
import sqlite3, sys
book, wanted = sqlite3.connect(sys.argv[1]), int(sys.argv[2])
book.row_factory = sqlite3.Row
new = "lower(hex(randomblob(16)))"
columns = [row["name"] for row in book.execute("PRAGMA table_info(steps)") if row["name"] != "id"]
fresh = {"digest": f"{new} || {new}", "address": new, "external_id": new, "task_id": "abs(random())"}
copy = f"INSERT INTO steps ({', '.join(columns)}) SELECT {', '.join(fresh.get(c, c) for c in columns)} FROM steps WHERE id = ?"
first = [row["id"] for row in book.execute("SELECT id FROM steps")]
for i in range(wanted - len(first)):
  of = first[i % len(first)]
  step = book.execute(copy, (of,)).lastrowid
  book.execute("INSERT INTO journal (step, at, what, body) SELECT ?, at, what, body FROM journal WHERE step = ?", (step, of))
  book.execute("INSERT INTO asks SELECT script, task_path, (SELECT digest FROM steps WHERE id = ?1), nth, ?1, timeouts,"
               " kept, run FROM asks WHERE step = ?2", (step, of))
book.commit()
END_OF_SCRIPT
# Prints the CPU of the first claim, which opens the ledger, and of the median one of the others.
cat >claims.lua <<'END_OF_SCRIPT'
local kling = require "kling"
local taken = {}
for i = 1, 201 do
  local before = os.clock()
  local job = kling.text2video { prompt = arg[1] .. " shot " .. i }
  taken[i] = (os.clock() - before) * 1000
  job:accepted()
end
local first = table.remove(taken, 1)
table.sort(taken)
print(first, taken[100])
os.exit(0)
END_OF_SCRIPT
serve --run-seconds 0.1 0.1
run empty.db fill.lua 2>/dev/null
cp empty.db small.db
stop_service
serve --run-seconds 100000 100001
for steps in 100 10000 100000; do
  cp small.db $steps.db
  python3 fill.py $steps.db $steps
  ours= peer= ratios= first=
  for round in 1 2 3 4 5; do
    run $steps.db claims.lua "$round" >figures
    read -r one many <figures
    rm -rf none.db*
    run none.db claims.lua "$round" >figures
    read -r _ none <figures
    first="$first $one" ours="$ours $many" peer="$peer $none" ratios="$ratios $(calculate "$many / $none")"
  done
  [ $steps -gt 100 ] || point 'CPU of a claim, ms' 1 "$(echo "$peer" | median)"
  point 'CPU of a claim, ms' $steps "$(echo "$ours" | median)"
done
figure 'CPU of a claim in a ledger with 100,000 steps' "$(echo "$ours" | median)" ms \
  "an empty one $(echo "$peer" | median | awk '{ printf "%.2f", $1 }'), ratio $(echo "$ratios" | median | awk '{ printf "%.2f", $1 }')" 'ratio 2' 2 "$(echo "$ratios" | median)"
figure '  and of the first one of a run there, which opens the ledger and checks it' "$(echo "$first" | median)" ms '' '' ''

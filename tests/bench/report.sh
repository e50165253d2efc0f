#!/bin/sh
# report.sh LOG DOCS: the closing table of ./dev bench on the terminal and in DOCS/benchmarks.md, and
# how each cost grows as DOCS/growth.svg.
set -eu
log=$1 docs=$2
page=$docs/benchmarks.md
table=$(grep '^| ' "$log" | sed 's/ *|/ |/g; s/^ |/|/')
printf '| what | measured | beside | goal | |\n%s\n' "$table" | awk -F ' *[|] *' '{ printf "%-72s %-12s %-58s %-22s %s\n", $2, $3, $4, $5, $6 }'
grep '^skipped' "$log" || true

machine="$(date +%F), $(nproc) cores of $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1), load $(cut -d ' ' -f 2 /proc/loadavg)"
{
  sed '/^<!-- figures -->$/q' "$page"
  printf '\nMeasured on %s.\n\n| what | measured | beside | goal | |\n|---|---|---|---|---|\n%s\n\n' "$machine" "$table"
  sed -n '/^<!-- end of figures -->$/,$p' "$page"
} >"$log.md"
mv "$log.md" "$page"

# Small multiples: one panel a series, both axes logarithmic, the cost over a decade at least.
grep '^point' "$log" | awk -F '\t' '
  { if (!($2 in count)) name[++series] = $2
    n = ++count[$2]; at[$2, n] = $3; cost[$2, n] = $4
    if ($4 > most[$2]) most[$2] = $4
    if (n == 1 || $4 < least[$2]) least[$2] = $4 }
  END {
    width = 320; height = 190; rows = int((series + 1) / 2)
    printf "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" font-family=\"sans-serif\" font-size=\"11\">\n", 2 * width, rows * height
    printf "<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n"
    for (s = 1; s <= series; ++s) {
      key = name[s]; left = (s - 1) % 2 * width + 30; top = int((s - 1) / 2) * height + 40
      bottom = top + 110; span = width - 70; line = ""; marks = ""
      printf "<text x=\"%d\" y=\"%d\" font-weight=\"bold\">%s</text>\n", left, top - 20, key
      printf "<path d=\"M%d %dH%d\" stroke=\"#999\"/>\n", left, bottom, left + span
      for (i = 1; i <= count[key]; ++i) {
        x = left + span * log(at[key, i]) / log(100000); decades = log(most[key] / least[key]) / log(10)
        y = bottom - 10 - 100 * log(cost[key, i] / least[key]) / log(10) / (decades > 1 ? decades : 1)
        line = line (i > 1 ? " " : "") sprintf("%.0f,%.0f", x, y)
        number = at[key, i] + 0; if (number >= 1000) number = number / 1000 ",000"
        marks = marks sprintf("<circle cx=\"%.0f\" cy=\"%.0f\" r=\"3\" fill=\"#06c\"/><text x=\"%.0f\" y=\"%.0f\" text-anchor=\"middle\">%.3g</text>", x, y, x, y - 7, cost[key, i])
        marks = marks sprintf("<text x=\"%.0f\" y=\"%d\" text-anchor=\"middle\" fill=\"#666\">%s</text>\n", x, bottom + 16, number)
      }
      printf "<polyline points=\"%s\" fill=\"none\" stroke=\"#06c\" stroke-width=\"2\"/>\n%s", line, marks
    }
    print "</svg>" }' >"$docs/growth.svg"

#!/bin/sh
# The house stays small: all lines of host/ and bindings/ together. The aim is 30,000; the ceiling
# is what they are now, so that they can only shrink or be argued about.
set -eu
cd "$(dirname -- "$0")/../.."
aim=30000
ceiling=40565
lines=$(find host bindings -type f -exec cat {} + | wc -l)
echo "host and bindings: $lines lines (aim $aim, ceiling $ceiling)"
[ "$lines" -le "$ceiling" ]

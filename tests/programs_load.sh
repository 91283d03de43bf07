#!/usr/bin/env bash
# The loader makes a program's RELRO range read-only, which fails ("cannot apply additional memory protection") where the range begins on a
# page that isn't mapped. The linker lets it begin with thread-local data, and data that may lie at any byte can end up in the page before
# the segment: by chance, with whatever moves addresses. So thread-local buffers are aligned, and here is seen whether all are.
#
#   tests/programs_load.sh BIN      the folder of the programs
set -euo pipefail
(($# == 1)) || { sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" >&2; exit 2; }
checked=0
status=0
for program in "$1"/*; do
  headers=$(readelf --segments --wide "$program" 2>/dev/null) || continue
  read -r segment relro < <(awk '$1 == "LOAD" && $0 ~ / RW / && !data {data = $3} $1 == "GNU_RELRO" {relro = $3} END {print data, relro}' <<<"$headers")
  [[ -n $relro ]] || continue
  checked=$((checked + 1))
  ((relro >= segment)) || { echo "$(basename "$program"): RELRO begins at $relro, its segment at $segment: align thread-local buffers" >&2; status=1; }
done
((checked > 0)) || { echo "programs_load.sh: no programs in $1" >&2; exit 1; }
exit "$status"

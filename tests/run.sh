#!/usr/bin/env bash
# The one test command: installs what tests need, builds, runs everything (or only what has one of the labels).
#
#   tests/run.sh [label...]       e.g. tests/run.sh unit simulation
#
# Two trees: build/release with everything, and build/tsan with the cores that know no gRPC and no Kafka, under
# ThreadSanitizer (label tsan alone runs only that, otherwise it is built and run beside the other's tests, at the lowest priority: many of
# those wait more than they work). With the label kafka, or none, a real broker runs meanwhile; tests find it in
# HUB_TEST_KAFKA=127.0.0.1:PORT. HUB_JOBS sets how many processes build at once; one more test.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
labels=("$@")
for label in "${labels[@]}"; do
  [[ $label =~ ^[a-z0-9_-]+$ ]] || { sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" >&2; exit 2; }
done
jobs=${HUB_JOBS:-$(nproc)}
broker=$root/build/test-kafka

any_label() { # Was one of $@ asked for? No label at all means every label.
  ((${#labels[@]})) || return 0
  local want label
  for want in "$@"; do for label in "${labels[@]}"; do [[ $label != "$want" ]] || return 0; done; done
  return 1
}
any_label kafka && with_kafka=yes || with_kafka=no
any_label unit tsan && with_tsan=yes || with_tsan=no
[[ ${labels[*]} == tsan ]] && with_release=no || with_release=yes

beside="" # process group of the TSan tree's run

times=()
phase() { # NAME COMMAND...: runs it and notes how long it took and how it ended.
  local name=$1 start=$SECONDS status=0
  shift
  echo "=== $name" >&2
  "$@" || status=$?
  times+=("$(printf '%-16s %5d s  %s' "$name" $((SECONDS - start)) "$( ((status)) && echo "FAILED ($status)" || echo ok)")")
  return "$status"
}
finish() {
  local status=$?
  trap - EXIT
  [[ -z $beside ]] || kill -TERM -- "-$beside" 2>/dev/null || true
  [[ $with_kafka == no ]] || deploy/kafka.sh stop --dir "$broker" >/dev/null || true
  printf '%s\n' '' "${times[@]}"
  ((status == 0)) && echo "tests passed" || echo "tests FAILED" >&2
  exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Where the kernel scatters mappings widely, GCC 12's TSan does not start; without scattering it does.
calm=()
if [[ $(cat /proc/sys/vm/mmap_rnd_bits 2>/dev/null || echo 28) -gt 28 ]]; then calm=(setarch -R); fi

build() { # PRESET [CMAKE OPTION...]; a TSan build runs its test binaries once, to list their cases
  local preset=$1 wrap=()
  shift
  [[ $preset != tsan ]] || wrap=("${calm[@]}")
  cmake --preset "$preset" "$@" >"build/configure-$preset.log" 2>&1 ||
    { cat "build/configure-$preset.log" >&2; return 1; }
  "${wrap[@]}" cmake --build "build/$preset" --parallel "$jobs"
}

# The tests of tree $1 that have one of the labels $2 (a|b; empty: all of them).
count() { ctest --test-dir "$1" -N ${2:+-L "^($2)\$"} | sed -n 's/^Total Tests: //p'; }
run_tests() {
  local tree=$1 label=$2
  shift 2
  (($(count "$tree" "$label") > 0)) || { echo "run.sh: $tree registers no tests" >&2; return 1; }
  rm -f "$tree/Testing/Temporary/LastTestsFailed.log"
  "$@" ctest --test-dir "$tree" --output-on-failure -j "$((jobs + 1))" ${label:+-L "^($label)\$"}
}

# What the failed tests of tree $1 said last, once more at the very end, where it is looked for.
failed_output() {
  local logs=$1/Testing/Temporary name
  [[ -s $logs/LastTestsFailed.log ]] || return 0
  while IFS=: read -r _ name; do
    printf '\n--- %s\n' "$name"
    awk -v name="$name" '
      /^[0-9]+\/[0-9]+ Test: / { at = substr($0, index($0, "Test: ") + 6) == name; next }
      at && /^Output:$/ { said = 1; next }
      /^<end of output>$/ { said = 0 }
      said' "$logs/LastTest.log" | tail -n 40
  done <"$logs/LastTestsFailed.log"
}

start_kafka() {
  local line
  line=$(deploy/kafka.sh start --dir "$broker" --port auto --fresh | tail -n 1) || return
  export HUB_TEST_KAFKA=${line#bootstrap=}
}

phase packages deploy/packages.sh --tests $([[ $with_kafka == no ]] || echo --kafka)
mkdir -p build
[[ $with_release == no ]] || phase build-release build release -DHUB_TESTS=ON
if [[ $with_tsan == yes && $with_release == yes ]]; then
  setsid nice -n 19 "${BASH_SOURCE[0]}" tsan >build/tsan.log 2>&1 &
  beside=$!
elif [[ $with_tsan == yes ]]; then
  phase build-tsan build tsan -DHUB_CORE_ONLY=ON -DHUB_TESTS=ON
fi
[[ $with_kafka == no ]] || phase kafka start_kafka

# Both trees are run, even when the first fails: one answer instead of two rounds.
failed=0
found=0
run_tree() { # NAME TREE LABELS [WRAPPER...]
  local name=$1 number
  shift
  number=$(count "$1" "$2")
  found=$((found + number))
  # Without labels each tree has tests, or something is wrong with how it registers them.
  ((number == 0 && ${#labels[@]} > 0)) || phase "$name" run_tests "$@" || failed=1
}
[[ $with_release == no ]] || run_tree release build/release "$(IFS='|'; echo "${labels[*]}")"
finish_beside() {
  local status=0
  wait "$beside" || status=$?
  beside=""
  cat build/tsan.log
  ((status)) || found=$((found + $(count build/tsan unit)))
  return "$status"
}
# What has one thread is not in that tree.
if [[ -n $beside ]]; then
  phase "tsan, the rest" finish_beside || failed=1
elif [[ $with_tsan == yes ]]; then
  run_tree tsan build/tsan unit "${calm[@]}"
fi
# A label nobody has must not look like success.
((found > 0)) || { echo "run.sh: no test has the label ${labels[*]:-(any)}" >&2; exit 1; }
if ((failed)); then
  for tree in build/release build/tsan; do failed_output "$tree"; done
fi
exit "$failed"

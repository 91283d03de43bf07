#!/usr/bin/env bash
# Plants one bug after the other (patches/*.patch) in a copy of the files it touches and expects the judge that the patch names to see it.
#
#   tests/simulation/mutants.sh [BUILD] [--judge simulation|unit|swarm] [--only NAME] [--workers N]
#
#   BUILD    a built tree (default build/release); nothing in it or in the sources changes
#
# The head of a patch says `judge:` and `bug:`, and in `also:` which files besides must be compiled anew when it changes a header. Its files are
# copied, patched and compiled; the judge is linked from the tree's own objects with these before them. A patch that does not apply, does not
# compile or is not seen is a failure, and so is a judge that is red without any. At the end: the table.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build="" judge="" only=""
while (($#)); do
  case $1 in
    --judge) judge=$2; shift ;;
    --only) only=$2; shift ;;
    -*) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" >&2; exit 2 ;;
    *) build=$1 ;;
  esac
  shift
done
build=$(cd "${build:-$root/build/release}" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/hub-mutants.XXXXXX")
trap 'rm -rf "$work"' EXIT
fail() { echo "mutants: $*" >&2; exit 1; }
head_of() { sed -n "s/^$2: //p" "$1" | head -n 1; }

# How the tree compiles a file of the sources.
compile_command() { # PATH
  awk -v file="$root/$1" '
    /"directory":/ { directory = $0; sub(/.*"directory": "/, "", directory); sub(/".*/, "", directory) }
    /"command":/ { command = $0; sub(/.*"command": "/, "", command); sub(/",? *$/, "", command); gsub(/\\"/, "\"", command); gsub(/\\\\/, "\\", command) }
    /"file":/ && index($0, "\"" file "\"") { print "cd " directory " && " command; exit }' "$build/compile_commands.json"
}
# The last command that makes a binary, without what comes after the linking.
link_command() { # TARGET
  ninja -C "$build" -t commands "$1" | tail -n 1 | sed 's/^: && //; s/ && .*//'
}
binary_of() {
  case $1 in
    simulation) echo hub_simulation_test ;;
    unit) echo hub_fanout_test ;;
    swarm) echo hub-all ;;
    *) return 1 ;;
  esac
}
run_judge() { # JUDGE BINARY LOG
  case $1 in
    simulation) "$2" --abort '"the contracts hold*"~[long]' >"$3" 2>/dev/null ;;
    unit) "$2" --abort >"$3" 2>/dev/null ;;
    swarm)
      local bin
      bin=$(dirname "$2")
      [[ $bin -ef $build/bin ]] || ln -sf "$build"/bin/{hubctl,hub-swarm,fault-proxy,bench_p07_load} "$bin/"
      "$root/tests/process/judged.sh" "$bin" >"$3" 2>&1 ;;
  esac
}
how_seen() { # JUDGE LOG: one line of what the judge said
  case $1 in
    simulation) awk '/HUB_SIM_SEED=/ && !seed { seed = $1; sub(/.*=/, "", seed) } expansion && !said { said = $0; sub(/^ *"/, "", said); sub(/" == "".*|"$/, "", said) } { expansion = /^with expansion:/ } END { print "seed " seed ": " said }' "$2" ;;
    unit) sed -n 's/^ *\(CHECK\|REQUIRE\)\(.*\)/\1\2/p' "$2" | head -n 1 ;;
    swarm) { grep -m 1 '^check: ' "$2" || grep -m 1 'judged: ' "$2" || tail -n 1 "$2"; } | cut -c 1-110 ;;
  esac
}

declare -A clean=()
table=() survivors=0
for patch in "$root"/tests/simulation/patches/*.patch; do
  name=$(basename "$patch" .patch)
  [[ -z $only || $name == "$only" ]] || continue
  by=$(head_of "$patch" judge)
  [[ -z $judge || $by == "$judge" ]] || continue
  binary=$(binary_of "$by") || fail "$name: no judge '$by'"
  if [[ -z ${clean[$by]:-} ]]; then
    mkdir -p "$work/clean"
    run_judge "$by" "$build/bin/$binary" "$work/clean/$by.log" || { tail -n 30 "$work/clean/$by.log" >&2; fail "$by is red without any bug"; }
    clean[$by]=yes
  fi
  copy=$work/$name
  mapfile -t touched < <(sed -n 's/^+++ b\///p' "$patch")
  read -ra also <<<"$(head_of "$patch" also)"
  for file in "${touched[@]}"; do
    mkdir -p "$copy/$(dirname "$file")"
    cp "$root/$file" "$copy/$file"
  done
  # Without fuzz. The copy is in no repository.
  (cd "$copy" && GIT_CEILING_DIRECTORIES=$work git apply "$patch") >"$work/patch.log" 2>&1 ||
    { cat "$work/patch.log" >&2; fail "$name: does not apply any more: mend it"; }
  objects=""
  for file in "${touched[@]}" "${also[@]}"; do
    [[ $file == *.cc ]] || continue
    source=$root/$file
    [[ ! -e $copy/$file ]] || source=$copy/$file
    object=$copy/$(tr / _ <<<"$file").o
    command=$(compile_command "$file")
    [[ -n $command ]] || fail "$name: the tree does not compile $file"
    # Its own headers first; compile_commands names the source last.
    command=$(sed "s# -I$root # -I$copy -I$root #; s# -o [^ ]* -c .*# -o $object -c $source#" <<<"$command")
    [[ $command == *" -I$copy "* ]] || fail "$name: no -I$root in the command for $file"
    bash -c "$command" 2>"$work/compile.log" || { cat "$work/compile.log" >&2; fail "$name: $file does not compile"; }
    objects="$objects $object"
  done
  mkdir -p "$copy/bin"
  command=$(link_command "$binary" | sed "s# -o bin/$binary # -o $copy/bin/$binary $objects #")
  [[ $command == *"$copy/bin/$binary"* ]] || fail "$name: can't tell how $binary is linked"
  (cd "$build" && bash -c "$command") 2>"$work/link.log" || { cat "$work/link.log" >&2; fail "$name: does not link"; }
  if run_judge "$by" "$copy/bin/$binary" "$copy/judge.log"; then
    ((++survivors))
    seen="NOT SEEN"
  else
    seen=$(how_seen "$by" "$copy/judge.log")
  fi
  table+=("$(printf '| %-28s | %-10s | %s | %s |' "$name" "$by" "$(head_of "$patch" bug)" "$seen")")
  echo "${table[-1]}"
  rm -rf "$copy"
done
((${#table[@]} > 0)) || fail "no patch"
echo "mutants: $((${#table[@]} - survivors)) of ${#table[@]} seen"
((survivors == 0))

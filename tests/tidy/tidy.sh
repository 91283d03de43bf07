#!/usr/bin/env bash
# What a compiler does not check: layers, banned calls, where third-party headers may appear, file length, sample
# numbers, machine paths. Reads what git tracks plus what is new and not ignored. No build, no network.
#
#   tests/tidy/tidy.sh [ROOT]
#
# Each finding is `file:line: rule: what to do`; exit status 1 when there are any. A line that must break a rule
# says so and why: `tidy:RULE-ok REASON` in a comment on that line (for layers there is no such way).
set -euo pipefail
export LC_ALL=C

cd "${1:-$(dirname "${BASH_SOURCE[0]}")/../..}"
git rev-parse --git-dir >/dev/null 2>&1 || { echo "tidy.sh: not a git tree: $PWD" >&2; exit 2; }
[[ -s libs/layers.txt ]] || { echo "tidy.sh: libs/layers.txt is missing: the table of layers" >&2; exit 2; }

findings=$(mktemp)
trap 'rm -f "$findings"' EXIT

files() { # The tree's files; $@: git patterns. A file that is deleted but still tracked is left out.
  git ls-files -co --exclude-standard -- "$@" | sort -u | while IFS= read -r file; do
    [[ ! -f $file || -L $file ]] || printf '%s\n' "$file"
  done
}

# --- C++: layers, length, banned calls, third-party headers, white space ---

mapfile -t code < <(files '*.h' '*.cc' '*.proto')
if ((${#code[@]})); then
  awk '
    function report(rule, text) { printf "%s:%d: %s: %s\n", FILENAME, FNR, rule, text }
    # Is the line excused from the rule, with a reason of a word at least?
    function excused(rule) { return raw ~ ("tidy:" rule "-ok +[A-Za-z][A-Za-z]") }
    function ban(rule, pattern, text) { if (code ~ pattern && !excused(rule)) report(rule, text) }

    # libs/layers.txt: LAYER LIB USED-LIBS...
    NR == FNR {
      sub(/#.*/, "")
      if (NF < 2) next
      layer[$2] = $1
      for (i = 3; i <= NF; i++) allowed[$2, $i] = 1
      next
    }

    FNR == 1 {
      split(FILENAME, part, "/")
      top = part[1]
      lib = top == "libs" ? part[2] : ""
      service = top == "services" ? part[2] : ""
      header = FILENAME ~ /\.h$/
      proto = FILENAME ~ /\.proto$/
      test = FILENAME ~ /_test\.(cc|h)$/
      product = (top == "libs" || top == "services") && !test
    }

    {
      raw = $0
      if (raw ~ /\t/) report("format", "a tab: use spaces")
      if (raw ~ /[ \t\r]$/) report("format", "white space at the end of the line")
      if (raw ~ /^TEST_CASE\("[^"]*;/) report("test-name", "ctest splits a name at a semicolon and then runs nothing")
      if (proto) next
      if (FNR == 501 && top ~ /^(libs|services|bench|tests)$/)
        report("length", "past 500 lines: which second noun crept in? Split the file")
      code = raw
      sub(/\/\/.*/, "", code)
      if (code ~ /^[ ]*(\/\*|\* |\*\/)/) code = ""
    }

    proto { next }

    code ~ /^[ ]*# *include/ {
      included = code
      sub(/^[^"<]*["<]/, "", included); sub(/[">].*/, "", included)
      split(included, to, "/")
      if (lib != "" && to[1] == "libs" && to[2] != lib && FILENAME ~ /^libs\/[^\/]+\//) {
        if (!(lib in layer)) report("layers", "library " lib " is not in libs/layers.txt")
        else if (!(to[2] in layer)) report("layers", "library " to[2] " is not in libs/layers.txt")
        else if (!((layer[to[2]] <= 1 && layer[to[2]] < layer[lib]) || (lib, to[2]) in allowed))
          report("layers", lib " may not use " to[2] " (libs/layers.txt): arrows go down, never sideways")
      }
      if (lib != "" && (to[1] == "services" || (!test && (to[1] == "bench" || to[1] == "tests"))))
        report("layers", "a library may not include " to[1] "/")
      if (service != "" && to[1] == "services" && to[2] != service && service != "hub" && FILENAME !~ /\/main\.cc$/)
        report("layers", "only services/hub and a main.cc may include another service; shared code belongs into a library")

      # Where a third-party header may appear, and in libs only in .cc files.
      home = ""
      if (included ~ /^(grpc|grpcpp|grpc\+\+)\//) home = "^(libs/(rpc|client)|services|bench|tests)/"
      else if (included ~ /^rocksdb\//) home = "^libs/store/"
      else if (included ~ /^librdkafka\//) home = "^libs/eventlog/"
      else if (included ~ /^google\/|\.pb\.h$/) home = "^(libs/(wire|rpc|client)|services|bench|tests|deploy/samples/cpp)/"
      else if (included ~ /^openssl\//) home = "^(libs/(base|rpc|audit)|bench)/"
      else if (included ~ /^phonenumbers\//) home = "^libs/model/"
      else if (included ~ /^(spdlog|fmt|prometheus)\//) home = "^libs/base/"
      else if (included ~ /^(civetweb|CivetServer|boost\/)/) home = "^libs/rpc/"
      else if (included ~ /^CLI\//) home = "^(services|bench|tests|deploy/samples/cpp)/"
      else if (included ~ /^(rapidjson\/|csv\.h$|zstd\.h$|catch2\/|benchmark\/)/) home = "."
      if (home != "" && !excused("third-party")) {
        if (FILENAME !~ home) report("third-party", included " belongs behind the library that owns it, not here")
        else if (header && top == "libs") report("third-party", included " in a header: only .cc files of the owning library")
      }
    }

    { base = lib == "base" }
    !base { ban("clock", "absl::Now *\\(|std::chrono::system_clock|(^|[^A-Za-z0-9_])(time *\\( *(nullptr|NULL|0) *\\)|gettimeofday)",
                "ask the injected base::Clock") }
    !base && (top == "libs" || top == "services" || test || top == "tests") {
      ban("sleep", "sleep_for|sleep_until|SleepFor|(^|[^A-Za-z0-9_])(usleep|nanosleep|sleep) *\\(", "wait for an event or advance the clock; never sleep")
    }
    top == "libs" { ban("print", "std::cout|(^|[^A-Za-z0-9_])printf *\\(", "libraries log (libs/base/log.h) or return, they do not print") }
    !base { ban("mutex", "absl::Mutex", "use base::Mutex: it is annotated and TSan can judge it") }
    { ban("detach", "[.>]detach *\\( *\\)", "own the thread and join it") }
    !base { ban("random", "std::random_device|(^|[^A-Za-z0-9_])s?rand *\\(", "take an injected generator with a logged seed") }
  ' libs/layers.txt "${code[@]}" >>"$findings"
fi

# --- every text file: numbers, paths, host names ---

# find_lines RULE TEXT PATTERN FILE...: the patterns below are written so that they do not match themselves.
find_lines() {
  local rule=$1 text=$2 pattern=$3
  shift 3
  (($#)) || return 0
  { grep -nHIE -- "$pattern" "$@" || true; } | { grep -vE "tidy:$rule-ok +[A-Za-z]{2}" || true; } |
    awk -v rule="$rule" -v text="$text" '{ match($0, /^[^:]*:[0-9]+/); print substr($0, 1, RLENGTH) ": " rule ": " text }' >>"$findings"
}

mapfile -t all < <(files)
find_lines number 'could be the number of a real person: samples use +91 555..., tests build the shape at run time' \
  '[+]91[ -]?[6-9]([ -]?[0-9]){9}' "${all[@]}"
mapfile -t samples < <(files 'deploy/*' 'tests/*' '*.md' '*.textproto' '*_test.cc' | grep -v '\.sh$' || true)
find_lines number 'ten digits from 6 to 9 on could be the number of a real person: use 555...' \
  '(^|[^0-9A-Za-z_.])[6-9][0-9]{9}([^0-9A-Za-z_]|$)' "${samples[@]}"
find_lines path 'a path of one machine: derive it from the place of the script, or take it as an argument' \
  '(^|[^A-Za-z0-9_./}-])/(wor[k]|roo[t]|hom[e])/' "${all[@]}"
find_lines host 'a registry or mirror by name: leave it to the settings of the machine' \
  '(registry[.]npmjs|registry[.]yarnpkg|repo1?[.]maven|deb[.]debian[.]org|(security|ftp|snapshot)[.]debian[.]org|archive[.]ubuntu|pypi[.]org|proxy[.]golang|static[.]crates|docker[.]io/|[a-z]-?docker[.]pkg[.]dev|artifactor[y])' "${all[@]}"

# --- shell scripts ---

mapfile -t scripts < <({ files '*.sh'; { files | tr '\n' '\0' | xargs -0 -r grep -lIE -m1 '^#!.*[ /](bash|sh)$' || true; }; } | sort -u)
for script in "${scripts[@]}"; do
  bash -n "$script" 2>&1 | sed -nE "s|^.*: line ([0-9]+): (.*)|$script:\1: shell: \2|p" >>"$findings" || true
done

if [[ -s $findings ]]; then
  sort -t: -k1,1 -k2,2n -u "$findings"
  echo "tidy.sh: $(sort -u "$findings" | wc -l) findings" >&2
  exit 1
fi

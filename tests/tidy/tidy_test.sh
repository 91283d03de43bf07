#!/usr/bin/env bash
# Proves that tidy.sh can fail: a small clean tree passes, and each planted violation is found, at its line.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
failures=0

write() { # FILE: from stdin
  mkdir -p "$tree/$(dirname "$1")"
  cat >"$tree/$1"
}

git init -q "$tree"
write libs/layers.txt <"$here/../../libs/layers.txt"
write .gitignore <<<'build/'
write libs/base/clock.cc <<<'absl::Time Now() { return absl::Now(); }'
write libs/fanout/session.h <<'END'
#include "absl/time/time.h"
#include "libs/base/clock.h"
#include "libs/eventlog/log.h"
#include "libs/model/event.h"
// Comments may speak of absl::Now() and std::cout.
int Length(const char* text) { return std::snprintf(nullptr, 0, "%s", text); }
END
write libs/store/database.cc <<<'#include <rocksdb/db.h>'
write services/hub/hub_app.cc <<<'#include "services/query/query_app.h"'
write build/ignored.cc <<<'#include <rocksdb/db.h>'
write deploy/samples/list.json <<<'{"payload":[{"n":"5551234567"}]}'
write README.md <<<'Reports about +91 555 123 4567 arrive at <https://hub.example/work/>.'
write deploy/good.sh <<<'echo fine'

if ! out=$("$here/tidy.sh" "$tree" 2>&1); then
  printf 'FAILED: the clean tree has findings:\n%s\n' "$out"
  failures=1
fi

# plant RULE FILE LINE-NUMBER: the file comes from stdin; the finding is expected at that line, and nowhere else.
plant() {
  local rule=$1 file=$2 line=$3 out status=0
  [[ -e $tree/$file ]] && { echo "FAILED: $file is part of the clean tree"; failures=1; return; }
  write "$file"
  out=$("$here/tidy.sh" "$tree" 2>/dev/null) || status=$?
  if [[ $status != 1 ]] || [[ $(grep -c . <<<"$out") != 1 ]] || ! grep -q "^$file:$line: $rule: ." <<<"$out"; then
    printf 'FAILED: %s: want one finding at %s:%s, status 1; got status %s and\n%s\n' "$rule" "$file" "$line" "$status" "$out"
    failures=$((failures + 1))
  fi
  rm "$tree/$file"
}
clean() { # FILE: from stdin; no finding expected
  local out
  write "$1"
  out=$("$here/tidy.sh" "$tree" 2>&1) || { printf 'FAILED: %s should pass:\n%s\n' "$1" "$out"; failures=$((failures + 1)); }
  rm "$tree/$1"
}

plant test-name libs/base/bad_test.cc 1 <<<'TEST_CASE("one thing; another", "[x]") {}'
plant layers libs/store/bad.h 2 <<<$'\n#include "libs/registry/decide.h"' # up
plant layers libs/access/bad.h 1 <<<'#include "libs/store/batch.h"'      # sideways
plant layers libs/base/bad.h 1 <<<'#include "libs/model/event.h"'
plant layers libs/fanout/bad.cc 1 <<<'#include "libs/unknown/x.h"'
plant layers libs/thirteenth/bad.cc 1 <<<'#include "libs/base/clock.h"'
plant layers libs/rpc/bad.cc 1 <<<'#include "services/hub/hub_app.h"'
plant layers libs/rpc/bad2.cc 1 <<<'#include "tests/swarm.h"'
plant layers services/query/bad.cc 1 <<<'#include "services/fanout/fanout_app.h"'
for folder in libs/fanout services/query bench tests; do
  plant length "$folder/long.cc" 501 < <(seq -f '// %g' 501)
done
clean libs/fanout/not_long.cc < <(seq -f '// %g' 500)

plant clock libs/fanout/bad.cc 1 <<<'auto t = absl::Now();'
plant clock bench/bad.cc 1 <<<'auto t = std::chrono::system_clock::now();'
plant clock services/hub/bad.cc 1 <<<'auto t = time(nullptr);'
plant clock tests/bad.cc 1 <<<'gettimeofday(&tv, nullptr);'
clean libs/fanout/excused.cc <<<'auto t = absl::Now();  // tidy:clock-ok the third party wants the wall clock'
plant clock libs/fanout/bad.cc 1 <<<'auto t = absl::Now();  // tidy:clock-ok' # no reason given
plant sleep libs/fanout/bad.cc 1 <<<'std::this_thread::sleep_for(1ms);'
plant sleep services/hub/bad.cc 1 <<<'absl::SleepFor(d);'
plant sleep tests/bad_test.cc 1 <<<'usleep(1);'
plant print libs/model/bad.cc 1 <<<'std::cout << 1;'
plant print libs/model/bad.cc 1 <<<'  std::printf("x");'
plant mutex services/hub/bad.h 1 <<<'absl::Mutex mu_;'
plant detach services/hub/bad.cc 1 <<<'thread.detach();'
plant random libs/fanout/bad.cc 1 <<<'std::random_device device;'
plant random tests/bad.cc 1 <<<'int x = rand();'

plant third-party libs/fanout/bad.cc 1 <<<'#include <grpcpp/grpcpp.h>'
plant third-party libs/registry/bad.cc 1 <<<'#include <rocksdb/db.h>'
plant third-party services/hub/bad.cc 1 <<<'#include <librdkafka/rdkafkacpp.h>'
plant third-party libs/model/bad.cc 1 <<<'#include "proto/fraudhub/v1/event.pb.h"'
plant third-party libs/store/bad.cc 1 <<<'#include <google/protobuf/message.h>'
plant third-party libs/fanout/bad.cc 1 <<<'#include <openssl/sha.h>'
plant third-party services/hub/bad.cc 1 <<<'#include <phonenumbers/phonenumberutil.h>'
plant third-party libs/fanout/bad.cc 1 <<<'#include <spdlog/spdlog.h>'
plant third-party services/hub/bad.cc 1 <<<'#include <prometheus/registry.h>'
plant third-party services/hub/bad.cc 1 <<<'#include <CivetServer.h>'
plant third-party libs/client/bad.cc 1 <<<'#include <CLI/CLI.hpp>'
plant third-party libs/store/bad.h 1 <<<'#include <rocksdb/db.h>' # right library, but a header
plant third-party libs/wire/bad.h 1 <<<'#include "proto/fraudhub/v1/event.pb.h"'

# Built at run time, as no such number may stand in the tree.
digits=8$(printf '%09d' 123456789)
plant number libs/model/bad.cc 1 <<<"const char* kSample = \"+91$digits\";"
plant number README2.md 1 <<<"Call +91 ${digits:0:5} ${digits:5}."
plant number deploy/samples/bad.csv 2 <<<$'number\n'"$digits"
plant number libs/model/bad_test.cc 1 <<<"Parse(\"$digits\");"
plant number deploy/bad.textproto 1 <<<"number: \"$digits\""
clean deploy/excused.textproto <<<"number: \"$digits\"  # tidy:number-ok not assigned to anybody"
for folder in work root home; do
  plant path deploy/bad.sh 1 <<<"cd /$folder/x"
done
plant host deploy/bad.sh 1 <<<"curl https://registry.""npmjs.org"
plant shell deploy/bad.sh 2 <<<$'\nfi'
plant shell .ci/bad 2 <<<$'#!/usr/bin/env bash\nfi'
plant format libs/model/bad.cc 1 <<<$'\tint x;'
plant format libs/model/bad.h 1 <<<'int x; '

((failures == 0)) || { echo "$failures failures"; exit 1; }
echo "tidy.sh finds what it should"

#!/usr/bin/env bash
# The SDK as others use it: installed into a folder, its headers by themselves, and found by find_package from a project outside of the tree,
# which builds and runs.
#
#   tests/process/sdk_install.sh [BIN]
#
#   BIN   folder of the binaries (default build/release/bin); the build folder is the one above
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
bin=$(cd "${1:-$root/build/release/bin}" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/hub-sdk.XXXXXX")
trap 'rm -rf "$work"' EXIT
fail() { echo "sdk_install: $*" >&2; exit 1; }
run() { "$@" >"$work/log" 2>&1 || { tail -n 40 "$work/log" >&2; fail "$* ended with $?"; }; }

run cmake --install "$bin/.." --component sdk --prefix "$work/prefix"
! grep -rlF -- "$root" "$work/prefix/lib/cmake" "$work/prefix/include" || fail "what is installed names the tree"

# Each public header by itself, then all of them with the messages: -MD tells what was read, and only protobuf's may be among it.
cd "$work/prefix/include"
headers=(fraudhub/*.h)
((${#headers[@]} >= 7)) || fail "${#headers[@]} headers are installed"
compile() { # NAME, the source on standard input
  cat >"$work/$1.cc"
  run g++ -std=c++20 -Wall -Wextra -Wpedantic -Wshadow -Werror -fsyntax-only -MD -MF "$work/$1.d" -I "$work/face" -isystem "$work/messages" \
    "$work/$1.cc"
}
mkdir -p "$work/face/fraudhub" "$work/messages/fraudhub" # apart: what is generated may have warnings
cp "${headers[@]}" "$work/face/fraudhub"
ln -s "$work/prefix/include/fraudhub/v1" "$work/messages/fraudhub/v1"
for header in "${headers[@]}"; do
  printf '#include "%s"\n' "$header" | compile alone
  ! grep -E '/(absl|grpc|grpcpp|google|libs)/' "$work/alone.d" || fail "$header needs more than the standard library"
done
{
  printf '#include "%s"\n' "${headers[@]}"
  printf '#include <%s>\n' fraudhub/v1/*.pb.h
  cat <<'END'
// What an outsider writes; compiled, not run.
fraudhub::Status ReportAndAsk(const fraudhub::Connection& connection) {
  auto reporter = fraudhub::Reporter::Open("reports", {.connection = connection, .linger = std::chrono::milliseconds(1)},
                                           [](const fraudhub::v1::ReportVerdict&) {});
  if (!reporter.ok()) return reporter.status();
  fraudhub::v1::Report report;
  report.set_report_id(fraudhub::NewReportId());
  std::vector<fraudhub::v1::Report> reports = {report};
  if (fraudhub::Status kept = reporter->Add(reports); !kept.ok()) return kept;
  const auto lookup = fraudhub::Lookup::Create(connection);
  if (!lookup.ok()) return lookup.status();
  const fraudhub::Result<fraudhub::v1::LookupResponse> answer = lookup->Get({});
  const auto replica = fraudhub::Lookup::Open("replica", {.hub = connection, .age_max = std::chrono::minutes(1)});
  if (!replica.ok() || !replica->age().has_value()) return replica.status();
  if (!answer.ok() && answer.status().reason == fraudhub::v1::ERROR_REASON_MISSING) return {};
  fraudhub::SubscriberHandlers handlers;
  handlers.on_event = [](const fraudhub::v1::Event& event) { return event.has_version(); };
  return fraudhub::Subscriber::Run({.connection = connection, .start = fraudhub::StreamStart::kSnapshot}, {}, handlers, {});
}
END
} | compile together
! grep -E '/(absl|grpc|grpcpp|libs)/' "$work/together.d" || fail "the public headers need more than the standard library and protobuf"
echo "compiled against nothing else: ${headers[*]}"

mkdir "$work/source"
cp "$root"/deploy/samples/cpp/* "$work/source"
! grep -nE 'absl|grpc|hub::client|"libs/' "$work"/source/*.cc || fail "a sample speaks more than the public face"
run cmake -G Ninja -S "$work/source" -B "$work/build" -DCMAKE_BUILD_TYPE=Release -DCMAKE_PREFIX_PATH="$work/prefix"
run cmake --build "$work/build" --target sample-portal sample-police
id=$("$work/build/sample-portal" --outbox "$work/outbox" add SUSPECTED_COMMUNICATION MOBILE 5551234567)
[[ $id =~ ^[0-9a-f-]{36}$ ]] || fail "the portal's sample prints no report id: $id"
echo "installed, found, built, and run: $id"

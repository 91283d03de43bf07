// P13: how a bank's replica begins with ten million flags: the compact set of its view read from a replica's RocksDB, encoded, decoded and made ready
// to answer, by the code of hub-query and hub-edge, in one process without a network. Bytes on the wire and seconds until it serves; beside it
// the snapshot's own rows of a sixteenth of the states, zstd over them, times sixteen.
//
// Numbers are drawn at run time and never leave memory, but for the RocksDB, whose folder is removed at the end.
//
//   bench_p13_verdict_set [NUMBERS]     default 10,000,000; run in the tree's root; a table on stderr, one JSON line on stdout
#include <zstd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bench/figures.h"
#include "fraudhub/v1/lookup.pb.h"
#include "libs/access/policy.h"
#include "libs/base/check.h"
#include "libs/client/first_verdicts.h"
#include "libs/store/database.h"
#include "libs/store/temp_dir.h"
#include "libs/wire/wire.h"
#include "services/query/verdict_sets.h"

namespace {

using hub::model::Level;
using hub::replica::PackedVerdict;

constexpr double kGoalBytes = 20e6, kGoalSeconds = 60;
constexpr uint64_t kBegin = 6'000'000'000, kCount = 4'000'000'000;
constexpr size_t kRun = 10'000;
constexpr uint32_t kSampled = 16;
constexpr size_t kFrame = 5;  // gRPC's, of each message
const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);

std::shared_ptr<const hub::access::Policy> Policy() {
  std::ifstream file("deploy/config/policy.textproto");
  std::stringstream text;
  text << file.rdbuf();
  auto spec = hub::wire::ParsePolicy(text.str());
  HUB_CHECK(spec.ok());
  auto policy = hub::access::Policy::Build(*std::move(spec));
  HUB_CHECK(policy.ok());
  return *std::move(policy);
}

// One state as the registry would have it after a disconnection list or two.
hub::model::Event Flagged(PackedVerdict verdict, std::mt19937_64* random) {
  hub::model::Event event;
  event.kind = hub::model::EventKind::kFlagged;
  hub::model::IndicatorState& state = event.state;
  for (uint8_t& byte : state.key.token) byte = static_cast<uint8_t>((*random)());
  state.identifier = {hub::model::IdentifierType::kMobile, absl::StrCat("+91", hub::replica::DigitsOf(verdict))};
  state.version = 1;
  state.standing = event.kind;
  state.attributes.type = hub::model::IdentifierType::kMobile;
  state.attributes.level = hub::replica::LevelOf(verdict);
  state.attributes.reasons = {hub::model::Reason::kLeaReportedCybercrime};
  state.attributes.circle_of_issue = "DL";
  state.report_count = 1 + (*random)() % 5;
  state.first_seen = kNow - absl::Seconds((*random)() % 8'000'000);
  state.last_seen = state.first_seen + absl::Seconds((*random)() % 80'000);
  state.expires_at = state.last_seen + absl::Hours(24 * 90);
  return event;
}

void Fill(hub::replica::Replica* replica, const std::vector<PackedVerdict>& verdicts) {
  std::mt19937_64 random(31);
  std::vector<hub::replica::FedRecord> records;
  int64_t next = 0;
  for (size_t i = 0; i < verdicts.size(); ++i) {
    records.push_back({0, next++, 1, Flagged(verdicts[i], &random)});
    if (records.size() < kRun && i + 1 < verdicts.size()) continue;
    if (i + 1 == verdicts.size()) records.push_back({0, next++, 1, hub::model::Tick{kNow}});
    HUB_CHECK(replica->ApplyEvents(records, 0, next, /*caught_up=*/true).ok());
    records.clear();
  }
}

// What the same states take as a snapshot's rows, compressed; of a sixteenth of them, times sixteen.
double SnapshotBytes(const hub::replica::Replica& replica, const hub::wire::AudienceSet& audiences) {
  std::string rows, out;
  double bytes = 0;
  const auto pack = [&] {
    out.resize(ZSTD_compressBound(rows.size()));
    bytes += static_cast<double>(ZSTD_compress(out.data(), out.size(), rows.data(), rows.size(), 3));
    rows.clear();
  };
  const auto heads = replica.VisitPart(0, kSampled, [&](const hub::replica::Answer& answer) {
    hub::model::Event event;
    event.kind = answer.state.standing;
    event.state = answer.state;
    event.term = answer.stamp.term;
    event.reports_offset = answer.stamp.reports_offset;
    rows += hub::wire::EncodeEventSlice(event, audiences, /*left_view=*/false);
    if (rows.size() > (size_t{1} << 20)) pack();
  });
  HUB_CHECK(heads.ok());
  pack();
  return bytes * kSampled;
}

}  // namespace

int main(int argc, char** argv) {
  const size_t count = argc > 1 ? static_cast<size_t>(std::atoll(argv[1])) : 10'000'000;
  std::mt19937_64 random(13);
  std::vector<uint64_t> numbers;
  while (numbers.size() < count + count / 128) numbers.push_back(kBegin + random() % kCount);
  std::sort(numbers.begin(), numbers.end());
  numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
  std::vector<PackedVerdict> verdicts;
  hub::replica::SetDigest truth;
  for (const uint64_t number : numbers) {
    const uint64_t kind = random() % 20;
    const Level level = kind < 3 ? Level::kVeryHigh : kind < 8 ? Level::kMedium : Level::kHigh;
    verdicts.push_back(hub::replica::Pack(number, level));
    truth.Add(verdicts.back());
  }

  const hub::base::RealClock real;
  const hub::base::ManualClock clock(kNow);
  hub::base::Metrics metrics;
  const hub::store::TempDir folder;
  std::vector<hub::store::TableSpec> tables = hub::replica::ReplicaTables();
  tables.push_back({"audit", hub::store::TableShape::kScans});
  auto database = hub::store::OpenDatabase(folder.path() + "/db", tables, {});
  HUB_CHECK(database.ok());
  auto replica = hub::replica::Replica::Open(database->get(), 0, 1, "log", &clock, &metrics);
  auto audit = hub::audit::AuditLog::Open(database->get(), static_cast<hub::store::TableId>(tables.size()) - 1, &clock);
  HUB_CHECK(replica.ok() && audit.ok());
  absl::Duration began = real.Monotonic();
  Fill(replica->get(), verdicts);
  std::fprintf(stderr, "%zu states in %.1f s\n", verdicts.size(), absl::ToDoubleSeconds(real.Monotonic() - began));

  const std::shared_ptr<const hub::access::Policy> policy = Policy();
  const auto bank = policy->Identify("fraudhub://dev.hub.example/bank-psb-01/main");
  HUB_CHECK(bank.ok());
  hub::access::Quota quota(&clock);
  hub::query::LookupParts parts;
  parts.clock = &clock;
  parts.metrics = &metrics;
  parts.replica = replica->get();
  parts.audit = audit->get();
  parts.quota = &quota;
  hub::query::VerdictSets sets(parts);

  began = real.Monotonic();
  hub::client::VerdictCollector collector;
  fraudhub::v1::GetVerdictSetRequest request;
  collector.Ask(real.Monotonic(), &request);
  absl::Duration retry_after;
  auto turn = sets.Enter(
      *bank, [] {}, &retry_after);
  HUB_CHECK(turn.ok());
  auto walk = sets.Begin(*policy, *bank, request, *std::move(turn));
  HUB_CHECK(walk.ok());
  fraudhub::v1::GetVerdictSetResponse response;
  double bytes = 0, hub_seconds = 0;
  size_t messages = 0, largest = 0;
  while (true) {
    const absl::Duration asked = real.Monotonic();
    const absl::StatusOr<bool> more = (*walk)->Next(&response);
    HUB_CHECK(more.ok());
    hub_seconds += absl::ToDoubleSeconds(real.Monotonic() - asked);
    if (!*more) break;
    const std::string sent = response.SerializeAsString();
    fraudhub::v1::GetVerdictSetResponse received;
    HUB_CHECK(received.ParseFromString(sent));
    HUB_CHECK(collector.Take(received).ok());
    bytes += static_cast<double>(sent.size() + kFrame);
    largest = std::max(largest, sent.size());
    ++messages;
  }
  const auto first = collector.Finish();
  HUB_CHECK(first.ok());
  const double seconds = absl::ToDoubleSeconds(real.Monotonic() - began);
  bool equal = first->digest == truth;
  for (const PackedVerdict verdict : verdicts) {
    equal = equal && first->set.Find(hub::replica::DigitsOf(verdict)) == hub::replica::LevelOf(verdict);
  }
  const double each = static_cast<double>(first->set.bytes()) / static_cast<double>(first->set.size());
  const double peer = SnapshotBytes(**replica, hub::wire::AudienceSet(policy->Fields(*bank)));
  const double flags = static_cast<double>(verdicts.size());
  std::fprintf(stderr, "compact set          %8.2f MB, %.3f bytes a verdict, %zu messages, the largest %zu bytes\n",
               bytes / 1e6, bytes / flags, messages, largest);
  std::fprintf(stderr, "snapshot's rows      %8.2f MB, %.3f bytes each, zstd\n", peer / 1e6, peer / flags);
  std::fprintf(stderr, "until it serves      %8.2f s, of which %.2f s at the hub; %.2f bytes a number held\n", seconds,
               hub_seconds, each);
  std::fprintf(stderr, "set hash and verdicts %s\n", equal ? "equal" : "DIFFER");
  const bool pass = bytes <= kGoalBytes && seconds <= kGoalSeconds && equal;
  std::printf(
      "{\"id\":\"P13\",\"unit\":\"MB\",\"ours\":%.2f,\"peer\":%.2f,\"ratio\":%.4f,\"goal\":%.0f,\"pass\":%s,\"pairs\":"
      "1,"
      "\"spread\":[%.2f,%.2f],\"machine\":\"%s\",\"verdicts\":%zu,\"seconds\":%.2f,\"seconds_goal\":%.0f,"
      "\"hub_seconds\":%.2f,\"equal\":%s,\"note\":\"no network: at 100 Mbit/s %.1f s more\"}\n",
      bytes / 1e6, peer / 1e6, bytes / peer, kGoalBytes / 1e6, pass ? "true" : "false", bytes / 1e6, bytes / 1e6,
      hub::bench::Machine().c_str(), verdicts.size(), seconds, kGoalSeconds, hub_seconds, equal ? "true" : "false",
      bytes * 8 / 1e8);
  return 0;
}

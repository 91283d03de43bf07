#include "services/query/replica_feeder.h"

#include <algorithm>

#include "libs/base/log.h"
#include "libs/base/mutex.h"
#include "libs/base/status_macros.h"
#include "libs/eventlog/topics.h"
#include "libs/wire/wire.h"

namespace hub::query {
namespace {

constexpr size_t kQuarantinedBytesMax = 64 << 10;  // of an undecodable record, for people to look at

constexpr eventlog::ReadLimits kLimits{2048, size_t{2} << 20};
constexpr absl::Duration kRangeAge = absl::Seconds(1);
constexpr absl::Duration kWaitMax = absl::Milliseconds(200);  // so that Stop is quick
constexpr absl::Duration kWholeFor =
    absl::Hours(24 * 6);  // younger records compaction leaves alone, with a day to spare
constexpr absl::Duration kPause = absl::Milliseconds(500);  // after an error
constexpr absl::Duration kGather = absl::Milliseconds(10);  // after a round of few: a commit costs the same with one record or fifty
constexpr size_t kFew = kLimits.records_max / 4;            // of one partition
constexpr int kNice = 5;  // reports and streams come first; it takes more at once when it is behind

}  // namespace

ReplicaFeeder::ReplicaFeeder(const base::Clock* clock, eventlog::Log* log, replica::Replica* replica, bool with_history,
                             base::Metrics* metrics)
    : clock_(clock),
      log_(log),
      replica_(replica),
      with_history_(with_history),
      records_(metrics->AddCounter("fraudhub_query_fed_records_total", "Records read into the replica")),
      undecodable_(metrics->AddCounter("fraudhub_query_undecodable_total", "Records that don't decode, set aside")),
      jumps_(
          metrics->AddCounter("fraudhub_query_jumps_total", "Times the log no longer held what was to be read next")) {}

ReplicaFeeder::~ReplicaFeeder() { Stop(); }

void ReplicaFeeder::Start() {
  thread_ = base::Thread("replica-feed", [this](std::stop_token stop) { Run(stop); });
}

void ReplicaFeeder::Stop() { thread_.Stop(); }

void ReplicaFeeder::Run(const std::stop_token& stop) {
  base::GiveWay(kNice);
  base::Mutex mu;
  base::CondVar never;
  while (!stop.stop_requested()) {
    size_t most = 0;  // of one partition
    bool failed = false;
    std::vector<eventlog::Log::WaitFor> ends;
    for (const Topic topic : {Topic::kEvents, Topic::kHistory}) {
      if (topic == Topic::kHistory && !with_history_) continue;
      const char* name = topic == Topic::kEvents ? eventlog::kEventsTopic : eventlog::kHistoryTopic;
      const std::vector<int64_t> next = topic == Topic::kEvents ? replica_->EventsNext() : replica_->HistoryNext();
      for (size_t i = 0; i < next.size() && !stop.stop_requested(); ++i) {
        const auto partition = static_cast<int32_t>(i);
        ends.push_back({{name, partition}, next[i]});
        const absl::StatusOr<size_t> fed = FeedOnce(topic, partition, next[i]);
        if (fed.ok()) {
          most = std::max(most, *fed);
        } else {
          failed = true;
          HUB_LOG_EVERY(5, WARN, "replica_not_fed",
                        {{"topic", name}, {"partition", partition}, {"status", fed.status().ToString()}});
        }
      }
    }
    if (failed || (most > 0 && most < kFew)) {
      base::MutexLock lock(&mu);
      never.WaitFor(&mu, failed ? kPause : kGather);
    } else if (most == 0) {
      log_->Wait(ends, kWaitMax);
    }
  }
}

absl::StatusOr<size_t> ReplicaFeeder::FeedOnce(Topic topic, int32_t partition, int64_t from) {
  const eventlog::TopicPartition at{topic == Topic::kEvents ? eventlog::kEventsTopic : eventlog::kHistoryTopic,
                                    partition};
  // Before the read: what it reaches then is the end as it was (DESIGN.md 5 R9).
  HUB_ASSIGN_OR_RETURN(const eventlog::OffsetRange range, Range(at));
  if (from < range.first) {
    jumps_.Increment();
    HUB_LOG(WARN, "replica_jumps",
            {{"topic", at.topic}, {"partition", partition}, {"from", from}, {"to", range.first}});
    if (topic == Topic::kEvents) HUB_RETURN_IF_ERROR(replica_->NoteGap(partition));
    HUB_RETURN_IF_ERROR(Apply(topic, {}, partition, range.first, false));
    return kFew;  // what follows is not waited with
  }
  const absl::StatusOr<eventlog::ReadResult> answer = log_->Read(at, from, kLimits);
  if (absl::IsOutOfRange(answer.status())) known_.erase(at);  // retention went on meanwhile: the next round asks
  HUB_RETURN_IF_ERROR(answer.status());
  const eventlog::ReadResult& read = *answer;
  if (read.records.empty() && read.next == from && from < range.end) return 0;
  if (topic == Topic::kEvents && read.next > from && Gap(from, read.records)) {
    HUB_RETURN_IF_ERROR(replica_->NoteGap(partition));
  }
  const std::vector<replica::FedRecord> decoded = Decode(at, read.records);
  if (topic == Topic::kEvents) HUB_RETURN_IF_ERROR(TellOfEvents(decoded));
  if (topic == Topic::kHistory && on_history_) HUB_RETURN_IF_ERROR(on_history_(decoded));
  HUB_RETURN_IF_ERROR(Apply(topic, decoded, partition, read.next, read.next >= range.end));
  records_.Increment(static_cast<double>(read.records.size()));
  return read.records.size();
}

absl::StatusOr<eventlog::OffsetRange> ReplicaFeeder::Range(const eventlog::TopicPartition& at) {
  // Before it is asked: an answer is as old as its question.
  const absl::Duration now = clock_->Monotonic();
  const auto known = known_.find(at);
  if (known != known_.end() && now - known->second.asked_at < kRangeAge) return known->second.range;
  HUB_ASSIGN_OR_RETURN(const eventlog::OffsetRange range, log_->Offsets(at));
  known_[at] = {range, now};
  return range;
}

// Compaction was here, or may have been (R9).
bool ReplicaFeeder::Gap(int64_t from, const std::vector<eventlog::StoredRecord>& records) const {
  return records.empty() || records.front().offset > from ||
         records.front().appended_at < clock_->TimeNow() - kWholeFor;
}

std::vector<replica::FedRecord> ReplicaFeeder::Decode(const eventlog::TopicPartition& at,
                                                      const std::vector<eventlog::StoredRecord>& records) {
  std::vector<replica::FedRecord> fed;
  fed.reserve(records.size());
  for (const eventlog::StoredRecord& record : records) {
    absl::StatusOr<wire::DecodedRecord> decoded = wire::DecodeRecord(record.value);
    if (decoded.ok()) {
      fed.push_back({at.partition, record.offset, decoded->header.term, std::move(decoded->body)});
      continue;
    }
    undecodable_.Increment();
    HUB_LOG(WARN, "record_set_aside", {{"topic", at.topic}, {"partition", at.partition}, {"offset", record.offset}});
    if (!with_history_) continue;  // who feeds all of it puts it aside
    model::Quarantined aside{at.topic, at.partition, record.offset, std::string(decoded.status().message()),
                             record.value.substr(0, kQuarantinedBytesMax)};
    log_->Append({eventlog::kQuarantineTopic, 0}, {"", wire::EncodeRecord({}, std::move(aside))}, [](const auto&) {});
  }
  return fed;
}

absl::Status ReplicaFeeder::TellOfEvents(const std::vector<replica::FedRecord>& records) {
  if (!on_event_) return absl::OkStatus();
  for (const replica::FedRecord& record : records) {
    if (const auto* event = std::get_if<model::Event>(&record.body)) HUB_RETURN_IF_ERROR(on_event_(*event));
  }
  return absl::OkStatus();
}

absl::Status ReplicaFeeder::Apply(Topic topic, const std::vector<replica::FedRecord>& records, int32_t partition,
                                  int64_t next, bool caught_up) {
  return topic == Topic::kEvents ? replica_->ApplyEvents(records, partition, next, caught_up)
                                 : replica_->ApplyHistory(records, partition, next);
}

}  // namespace hub::query

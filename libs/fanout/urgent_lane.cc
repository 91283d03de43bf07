#include "libs/fanout/urgent_lane.h"

#include <algorithm>
#include <atomic>
#include <deque>
#include <string>
#include <utility>
#include <variant>

#include "libs/base/log.h"
#include "libs/base/mutex.h"
#include "libs/base/status_macros.h"
#include "libs/eventlog/topics.h"
#include "libs/fanout/filter_class.h"
#include "libs/fanout/intake.h"
#include "libs/wire/wire.h"

namespace hub::fanout {
namespace {

constexpr absl::Duration kLookInterval = absl::Milliseconds(100);  // when no copy is expected
constexpr absl::Duration kExpectFor = absl::Seconds(1);            // after a twin; beyond the budget there is no copy

base::Counter Copies(base::Metrics* metrics, const char* what) {
  return metrics->AddCounter("fraudhub_fanout_urgent_copies_total",
                             "Copies read from the urgent topic, by what became of them", {{"what", what}});
}

}  // namespace

struct UrgentLane::Copy {
  Copy(eventlog::Offset at, eventlog::Offset twin_offset, size_t bytes, model::Event copied)
      : offset(at), twin(twin_offset), record_bytes(bytes), event(twin_offset, std::move(copied)) {}

  struct Form {
    uint32_t audience_bits;
    bool left_view;
    std::shared_ptr<const std::string> bytes;
  };
  // Each form is made when first asked for.
  const std::shared_ptr<const std::string>& Encoded(int32_t partition, const wire::AudienceSet& audiences,
                                                    bool left_view) {
    for (const Form& form : forms) {
      if (form.audience_bits == audiences.bits() && form.left_view == left_view) return form.bytes;
    }
    forms.push_back({audiences.bits(), left_view,
                     std::make_shared<const std::string>(
                         wire::EncodeUrgentSlice(event.event(), partition, twin, audiences, left_view))});
    return forms.back().bytes;
  }

  const eventlog::Offset offset;
  const eventlog::Offset twin;
  const size_t record_bytes;
  PendingEvent event;
  std::vector<Form> forms;
  absl::Duration held_since;  // monotonic
};

struct UrgentLane::Lane {
  explicit Lane(int32_t of) : partition(of) {}

  struct Twin {
    eventlog::Offset offset;
    uint64_t term;
  };
  const int32_t partition;
  // The dispatcher's thread only.
  eventlog::Offset next = 0;
  Fence fence;
  std::deque<Twin> twins;  // accepted, rising
  std::deque<std::unique_ptr<Copy>> held_back;
  eventlog::Offset last_twin = -1,
                   last_copied = -1;  // of `events`: the last twin, and the last that a copy was read of
  absl::Duration last_twin_at = -absl::InfiniteDuration();
  absl::Duration looked_at = -absl::InfiniteDuration();

  std::atomic<eventlog::Offset> head{0};  // release after `kept` holds what lies before it
  base::Mutex mu;
  std::deque<std::unique_ptr<Copy>> kept ABSL_GUARDED_BY(mu);  // rising
  size_t kept_bytes ABSL_GUARDED_BY(mu) = 0;
};

UrgentLane::UrgentLane(int32_t partitions, const base::Clock* clock, eventlog::Log* log, base::Metrics* metrics)
    : clock_(clock),
      log_(log),
      taken_in_(Copies(metrics, "kept")),
      without_twin_(Copies(metrics, "without_twin")),
      late_(Copies(metrics, "late")),
      fenced_(Copies(metrics, "fenced")),
      undecodable_(Copies(metrics, "undecodable")),
      sent_(metrics->AddCounter("fraudhub_fanout_urgent_deliveries_total",
                                "Copies handed to streams ahead of the order")) {
  for (int32_t p = 0; p < partitions; ++p) lanes_.push_back(std::make_unique<Lane>(p));
}

UrgentLane::~UrgentLane() = default;

absl::Status UrgentLane::Open() {
  for (const auto& lane : lanes_) {
    HUB_ASSIGN_OR_RETURN(const eventlog::OffsetRange range, log_->Offsets({eventlog::kUrgentTopic, lane->partition}));
    lane->next = range.end;
    lane->head.store(range.end, std::memory_order_release);
    Look(lane->partition);  // Kafka's first read of a place takes its time: not in the midst of events
  }
  return absl::OkStatus();
}

void UrgentLane::OnTwin(int32_t partition, eventlog::Offset offset, uint64_t term) {
  Lane* const lane = lanes_[static_cast<size_t>(partition)].get();
  lane->twins.push_back({offset, term});
  if (lane->twins.size() > kTwinsMax) lane->twins.pop_front();
  lane->last_twin = offset;
  lane->last_twin_at = clock_->Monotonic();
}

bool UrgentLane::Expects(const Lane& lane, absl::Duration now) const {
  return !lane.held_back.empty() || (lane.last_twin > lane.last_copied && now - lane.last_twin_at < kExpectFor);
}

void UrgentLane::Look(int32_t partition) {
  Lane* const lane = lanes_[static_cast<size_t>(partition)].get();
  const absl::Duration now = clock_->Monotonic();
  if (!Expects(*lane, now) && now - lane->looked_at < kLookInterval) return;
  lane->looked_at = now;
  if (lane->held_back.size() >= kHeldBackMax) return;  // until the twins have come, or patience ends
  const eventlog::TopicPartition at{eventlog::kUrgentTopic, partition};
  eventlog::ReadLimits limits;
  limits.records_max = kHeldBackMax;
  absl::StatusOr<eventlog::ReadResult> read = log_->Read(at, lane->next, limits);
  if (!read.ok()) {
    const absl::StatusOr<eventlog::OffsetRange> range = log_->Offsets(at);
    // What the log has dropped is too old to overtake anything.
    if (absl::IsOutOfRange(read.status()) && range.ok()) lane->next = std::max(lane->next, range->first);
    HUB_LOG_EVERY(10, WARN, "fanout_urgent_unreadable",
                  {{"partition", partition}, {"status", read.status().message()}});
    return;
  }
  TakeIn(lane, std::move(read->records));
  lane->next = read->next;
}

void UrgentLane::TakeIn(Lane* lane, std::vector<eventlog::StoredRecord> records) {
  for (eventlog::StoredRecord& record : records) {
    absl::StatusOr<wire::DecodedRecord> decoded = wire::DecodeRecord(record.value);
    if (!decoded.ok()) {
      undecodable_.Increment();
      continue;
    }
    if (!lane->fence.Accepts(decoded->header.term)) {  // R7, of this topic
      fenced_.Increment();
    } else if (std::holds_alternative<model::TermMark>(decoded->body)) {
      lane->fence.OnMark(decoded->header.term);
    } else if (auto* copy = std::get_if<model::UrgentCopy>(&decoded->body)) {
      lane->last_copied = std::max(lane->last_copied, copy->twin_offset);
      lane->held_back.push_back(
          std::make_unique<Copy>(record.offset, copy->twin_offset, record.value.size(), std::move(copy->event)));
      lane->held_back.back()->held_since = clock_->Monotonic();
    }
  }
}

bool UrgentLane::Release(int32_t partition, eventlog::Offset events_next) {
  Lane* const lane = lanes_[static_cast<size_t>(partition)].get();
  bool released = false;
  while (!lane->held_back.empty()) {
    Copy* const copy = lane->held_back.front().get();
    if (copy->twin >= events_next) {
      if (clock_->Monotonic() - copy->held_since < kPatience) break;
      late_.Increment();
    } else {
      const auto twin =
          std::lower_bound(lane->twins.begin(), lane->twins.end(), copy->twin,
                           [](const Lane::Twin& t, eventlog::Offset offset) { return t.offset < offset; });
      if (twin != lane->twins.end() && twin->offset == copy->twin && twin->term == copy->event.event().term) {
        taken_in_.Increment();
        released = true;
        Keep(lane, std::move(lane->held_back.front()));
      } else {
        without_twin_.Increment();
      }
    }
    lane->held_back.pop_front();
  }
  lane->head.store(lane->held_back.empty() ? lane->next : lane->held_back.front()->offset, std::memory_order_release);
  return released;
}

void UrgentLane::Keep(Lane* lane, std::unique_ptr<Copy> copy) {
  base::MutexLock lock(&lane->mu);
  lane->kept_bytes += copy->record_bytes;
  lane->kept.push_back(std::move(copy));
  while (lane->kept.size() > kKeptMax || lane->kept_bytes > kKeptBytesMax) {
    lane->kept_bytes -= lane->kept.front()->record_bytes;
    lane->kept.pop_front();
  }
}

void UrgentLane::WaitFor(std::vector<eventlog::Log::WaitFor>* any_of) const {
  const absl::Duration now = clock_->Monotonic();
  for (const auto& lane : lanes_) {
    if (Expects(*lane, now)) any_of->push_back({{eventlog::kUrgentTopic, lane->partition}, lane->next});
  }
}

eventlog::Offset UrgentLane::Head(int32_t partition) const {
  return lanes_[static_cast<size_t>(partition)]->head.load(std::memory_order_acquire);
}

UrgentCopies UrgentLane::Read(const FilterClass& filter_class, int32_t partition, eventlog::Offset from,
                              const PartitionPosition& passed, size_t bytes_max) const {
  Lane* const lane = lanes_[static_cast<size_t>(partition)].get();
  UrgentCopies copies;
  copies.next = std::max(from, lane->head.load(std::memory_order_acquire));
  if (copies.next == from) return copies;
  base::MutexLock lock(&lane->mu);
  auto it =
      std::lower_bound(lane->kept.begin(), lane->kept.end(), from,
                       [](const std::unique_ptr<Copy>& c, eventlog::Offset offset) { return c->offset < offset; });
  for (; it != lane->kept.end() && (*it)->offset < copies.next; ++it) {
    Copy* const copy = it->get();
    // The reader may know of a later owner than this node does (its token says so): then the twin is fenced for it.
    if (copy->twin < passed.offset || copy->event.event().term < passed.term) continue;
    const Verdict verdict = filter_class.Judge(copy->event);
    if (verdict == Verdict::kNothing) continue;
    const auto& bytes = copy->Encoded(partition, filter_class.audiences(), verdict == Verdict::kLeftView);
    if (copies.bytes + bytes->size() > bytes_max && copies.bytes > 0) {
      copies.next = copy->offset;
      break;
    }
    copies.bytes += bytes->size();
    copies.slices.push_back({bytes, *bytes});
  }
  sent_.Increment(static_cast<double>(copies.slices.size()));
  return copies;
}

}  // namespace hub::fanout

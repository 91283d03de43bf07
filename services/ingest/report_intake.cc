#include "services/ingest/report_intake.h"

#include <algorithm>
#include <atomic>
#include <optional>

#include "absl/strings/str_cat.h"
#include "libs/base/log.h"
#include "libs/base/status_macros.h"
#include "libs/eventlog/topics.h"
#include "libs/wire/wire.h"

namespace hub::ingest {
namespace {

namespace v1 = ::fraudhub::v1;

// What a refused reporter waits at least.
constexpr absl::Duration kRetryOverloaded = absl::Seconds(1);
constexpr absl::Duration kRetryUnknown = absl::Seconds(1);
constexpr absl::Duration kRetryStorageFull = absl::Seconds(30);
// While the log is not well, so often a call is let through.
constexpr absl::Duration kProbeInterval = absl::Seconds(1);
constexpr size_t kIdSize = 36;     // of the text of an id that Prepare lets pass
constexpr size_t kIdEchoMax = 64;  // answers wait in memory for their reader: no longer id is sent back
// Per second of the sustained rate, so many may come at once (policy_spec.h).
constexpr double kBurstFactor = 10;

std::string TokenBytes(const model::RoutingToken& token) {
  return std::string(reinterpret_cast<const char*>(token.data()), token.size());
}

std::string ItemPath(absl::string_view path, int index) {
  return path.empty() ? std::string() : absl::StrCat(path, "[", index, "]");
}

absl::Status CheckCount(int count, absl::string_view path) {
  if (count == 0) return model::Refuse(model::RefusalCode::kMissing, path, "want at least one report");
  if (count > kReportsPerCallMax) {
    return model::Refuse(model::RefusalCode::kTooManyItems, path,
                         absl::StrCat("want at most ", kReportsPerCallMax, " reports"));
  }
  return absl::OkStatus();
}

absl::Status StorageFull() {
  return model::Refuse(model::RefusalCode::kStorageFull, "", "the hub's storage is full; send again later");
}
absl::Status Overloaded() {
  return model::Refuse(model::RefusalCode::kOverloaded, "", "too much is in flight; send again");
}

bool IsRetryable(const absl::Status& status) { return !model::RefusalOf(status).has_value(); }

v1::ReportVerdict* AddRefused(int index, absl::string_view report_id, IntakeResult* result) {
  v1::RefusedReport* const refused = result->refused.Add();
  refused->set_index(static_cast<uint32_t>(index));
  v1::ReportVerdict* const verdict = refused->mutable_verdict();
  if (report_id.size() <= kIdEchoMax) verdict->set_report_id(std::string(report_id));
  return verdict;
}

}  // namespace

v1::ReportVerdict OnlyVerdict(const std::string& report_id, IntakeResult* result) {
  v1::ReportVerdict verdict;
  if (!result->refused.empty()) {
    verdict = std::move(*result->refused[0].mutable_verdict());
  } else if (result->status.ok()) {
    verdict.set_report_id(report_id);
    verdict.set_verdict(v1::VERDICT_ACCEPTED);
  }
  return verdict;
}

// A call in flight.
struct ReportIntake::Batch {
  struct Appended {
    int index;      // of the item
    size_t id_end;  // in `ids`
  };
  IntakeResult result;
  absl::Status refused_by_log;
  std::vector<Appended> appended;  // in the order of the log's answers
  std::string ids;                 // of the appended reports, one after the other: asked for when the log refuses
  std::string path;
  absl::Duration started;
  Done done;
};

ReportIntake::ReportIntake(const IntakeOptions& options, const base::Clock* clock, base::Metrics* metrics,
                           eventlog::Log* log, const model::Tokeniser* tokeniser, access::Quota* quota)
    : options_(options),
      clock_(clock),
      metrics_(metrics),
      log_(log),
      tokeniser_(tokeniser),
      quota_(quota),
      accepted_(metrics->AddCounter("fraudhub_ingest_reports_total", "Reports by verdict and reason",
                                    {{"verdict", "accepted"}, {"reason", ""}})),
      append_seconds_(metrics->AddHistogram("fraudhub_ingest_append_seconds",
                                            "From a batch's arrival to its last durable record",
                                            base::LatencyBounds())) {}

void ReportIntake::Submit(const access::Policy& policy, const access::Principal& caller, const Reports& reports,
                          absl::string_view path, Done done) {
  if (absl::Status count = CheckCount(reports.size(), path); !count.ok()) {
    metrics_->AddCounter("fraudhub_ingest_calls_refused_total", "Batches refused as a whole", {{"reason", "count"}})
        .Increment();
    return done({std::move(count)});
  }
  auto batch = std::make_shared<Batch>();
  const auto size = static_cast<size_t>(reports.size());
  batch->path = std::string(path);
  batch->started = clock_->Monotonic();
  batch->done = std::move(done);

  // Paid by what was sent, good or bad: refusing costs work, too. A call larger than the burst empties the bucket.
  const double rate = policy.Grant(caller.role).reports_per_second;
  const access::Rate limit{rate, std::max(1.0, rate * kBurstFactor)};
  const absl::Duration wait =
      quota_->Take(caller.stakeholder, "reports", std::min(static_cast<double>(size), limit.burst), limit);
  if (wait > absl::ZeroDuration()) {
    return RefuseAll(reports,
                     model::Refuse(model::RefusalCode::kQuotaExceeded, "", "too many reports; wait and send again"),
                     wait, batch.get());
  }
  if (const absl::Status sick = LogTakesReports(); !sick.ok()) {
    if (ProbeIsDue()) Probe(policy, caller, reports);
    return RefuseAll(reports, sick, absl::IsResourceExhausted(sick) ? kRetryStorageFull : kRetryUnknown, batch.get());
  }

  const wire::InputContext context = ContextOf(caller);
  std::vector<eventlog::Log::Addressed> items;
  items.reserve(size);
  batch->appended.reserve(size);
  batch->ids.reserve(size * kIdSize);
  for (int i = 0; i < reports.size(); ++i) {
    eventlog::Log::Addressed item;
    if (const absl::Status outcome = Prepare(policy, caller, context, reports[i], &item); !outcome.ok()) {
      Refuse(i, reports[i].report_id(), outcome, batch.get());
      continue;
    }
    items.push_back(std::move(item));
    batch->ids += reports[i].report_id();
    batch->appended.push_back({i, batch->ids.size()});
  }
  if (items.empty()) return Settle(batch.get());
  log_->AppendAll(eventlog::kReportsTopic, std::move(items),
                  [this, batch](const std::vector<absl::StatusOr<eventlog::Offset>>& answers) {
                    OnAnswers(answers, batch.get());
                    Settle(batch.get());
                  });
}

absl::Status ReportIntake::LogTakesReports() const {
  const absl::Status health = log_->Health();
  if (health.ok()) return health;
  HUB_LOG_EVERY(5, WARN, "log_takes_no_reports", {{"status", health.ToString()}});
  if (absl::IsResourceExhausted(health)) return StorageFull();
  return absl::UnavailableError("the hub's log can't be reached; send again later with the same id");
}

bool ReportIntake::ProbeIsDue() {
  const int64_t now = absl::ToInt64Milliseconds(clock_->Monotonic());
  if (now < next_probe_millis_.load(std::memory_order_relaxed)) return false;
  next_probe_millis_.store(now + absl::ToInt64Milliseconds(kProbeInterval), std::memory_order_relaxed);
  return true;
}

void ReportIntake::Probe(const access::Policy& policy, const access::Principal& caller, const Reports& reports) {
  eventlog::Log::Addressed item;
  if (!Prepare(policy, caller, ContextOf(caller), reports[0], &item).ok()) return;
  log_->Append({eventlog::kReportsTopic, item.partition}, std::move(item.record), [](const auto&) {});
}

void ReportIntake::RefuseAll(const Reports& reports, const absl::Status& why, absl::Duration retry_after,
                             Batch* batch) {
  IntakeResult result;
  result.status = why;
  result.retry_after = retry_after;
  const std::optional<model::Refusal> refusal = model::RefusalOf(why);
  for (int i = 0; i < reports.size(); ++i) {
    v1::ReportVerdict* const verdict = AddRefused(i, reports[i].report_id(), &result);
    verdict->set_verdict(v1::VERDICT_RETRY);
    if (refusal) verdict->set_error(static_cast<v1::ErrorReason>(refusal->code));
    verdict->set_message(refusal ? refusal->message : std::string(why.message()));
    Count(*verdict);
  }
  batch->done(std::move(result));
}

wire::InputContext ReportIntake::ContextOf(const access::Principal& caller) const {
  wire::InputContext context;
  context.now = clock_->TimeNow();
  context.allow_test_range = options_.allow_test_range;
  context.reporter = caller.AsReporter();
  return context;
}

absl::Status ReportIntake::Prepare(const access::Policy& policy, const access::Principal& caller,
                                   const wire::InputContext& context, const v1::Report& report,
                                   eventlog::Log::Addressed* item) const {
  const absl::StatusOr<model::Report> parsed = wire::FromProto(report, context);
  if (!parsed.ok()) return parsed.status();
  HUB_RETURN_IF_ERROR(policy.AuthorizeReport(caller, *parsed));
  // What was done about an event belongs to the event's indicator.
  const model::RoutingToken token = parsed->kind == model::InputKind::kActionTaken
                                        ? parsed->action.in_reply_to.key.token
                                        : tokeniser_->Routing(parsed->identifier);
  item->record.key = TokenBytes(token);
  item->partition = eventlog::PartitionOf(item->record.key, options_.partitions);
  item->record.value = wire::EncodeReport({}, *parsed);
  return absl::OkStatus();
}

void ReportIntake::OnAnswers(const std::vector<absl::StatusOr<eventlog::Offset>>& answers, Batch* batch) {
  const int before = batch->result.refused.size();
  size_t id_begin = 0;
  for (size_t k = 0; k < answers.size(); ++k) {
    const auto [index, id_end] = batch->appended[k];
    if (answers[k].ok()) {
      ++batch->result.accepted;
    } else {
      Refuse(index, absl::string_view(batch->ids).substr(id_begin, id_end - id_begin), answers[k].status(), batch);
    }
    id_begin = id_end;
  }
  auto& refused = batch->result.refused;
  if (before == 0 || refused.size() == before) return;
  std::sort(refused.pointer_begin(), refused.pointer_end(),
            [](const v1::RefusedReport* a, const v1::RefusedReport* b) { return a->index() < b->index(); });
}

void ReportIntake::Refuse(int index, absl::string_view report_id, const absl::Status& why, Batch* batch) {
  IntakeResult& result = batch->result;
  v1::ReportVerdict* const verdict = AddRefused(index, report_id, &result);
  if (!IsRetryable(why)) {
    const model::Refusal refusal =
        *model::RefusalOf(batch->path.empty() ? why : model::WithFieldPrefix(why, ItemPath(batch->path, index)));
    verdict->set_verdict(v1::VERDICT_REJECTED);
    verdict->set_error(static_cast<v1::ErrorReason>(refusal.code));
    verdict->set_field(refusal.field);
    verdict->set_message(refusal.message);
    return Count(*verdict);
  }
  verdict->set_verdict(v1::VERDICT_RETRY);
  if (absl::IsResourceExhausted(why)) {
    const bool full = absl::IsResourceExhausted(log_->Health());
    batch->refused_by_log = full ? StorageFull() : Overloaded();
    const model::Refusal refusal = *model::RefusalOf(batch->refused_by_log);
    verdict->set_error(static_cast<v1::ErrorReason>(refusal.code));
    verdict->set_message(refusal.message);
    result.retry_after = std::max(result.retry_after, full ? kRetryStorageFull : kRetryOverloaded);
  } else {
    HUB_LOG_EVERY(5, WARN, "append_failed", {{"status", why.ToString()}});
    verdict->set_message("not known to be durable; send again with the same id");
    result.retry_after = std::max(result.retry_after, kRetryUnknown);
  }
  Count(*verdict);
}

void ReportIntake::Settle(Batch* batch) {
  accepted_.Increment(batch->result.accepted);
  append_seconds_.Observe(absl::ToDoubleSeconds(clock_->Monotonic() - batch->started));
  if (batch->result.accepted == 0) batch->result.status = batch->refused_by_log;
  batch->done(std::move(batch->result));
}

void ReportIntake::Count(const v1::ReportVerdict& verdict) {
  const bool retry = verdict.verdict() == v1::VERDICT_RETRY;
  metrics_
      ->AddCounter("fraudhub_ingest_reports_total", "Reports by verdict and reason",
                   {{"verdict", retry ? "retry" : "rejected"},
                    {"reason", std::string(model::Name(static_cast<model::RefusalCode>(verdict.error())))}})
      .Increment();
}

}  // namespace hub::ingest

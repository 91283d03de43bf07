#include "libs/client/reporter.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <algorithm>
#include <atomic>
#include <deque>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "fraudhub/v1/report.grpc.pb.h"
#include "libs/base/clock.h"
#include "libs/base/hash.h"
#include "libs/base/status_macros.h"
#include "libs/base/thread.h"
#include "libs/client/duplex_call.h"
#include "libs/client/each_address.h"
#include "libs/client/retry_rule.h"
#include "libs/model/report_id.h"
#include "libs/rpc/status.h"
#include "libs/wire/utf8.h"

namespace hub::client {
namespace {

namespace v1 = ::fraudhub::v1;

constexpr int kItemsMax = 1000;               // of one request, by the API
constexpr size_t kBatchBytesMax = 1 << 20;    // the hub takes more; smaller batches keep its memory even
constexpr absl::Duration kForgetBackoffAfter = absl::Seconds(1);

struct Item {
  uint64_t tag = 0;
  v1::Report report;
};
using Call = DuplexCall<v1::StreamReportsRequest, v1::StreamReportsResponse>;

absl::Duration HintOf(const v1::StreamReportsResponse& response) {
  return absl::Seconds(response.retry_after().seconds()) + absl::Nanoseconds(response.retry_after().nanos());
}

class StreamReporter final : public Reporter {
 public:
  StreamReporter(const ReporterOptions& options, Channels channels, Channels status, OnVerdict on_verdict)
      : options_(options), channels_(std::move(channels)), status_(std::move(status)), on_verdict_(std::move(on_verdict)),
        backoff_(options.backoff_base, options.backoff_max, RandomSeed()),
        thread_("hub-reporter", [this](std::stop_token stop) { Run(stop); }) {}

  ~StreamReporter() override { thread_.Stop(); }

  absl::Status Submit(uint64_t tag, v1::Report report) override {
    HUB_RETURN_IF_ERROR(wire::CheckUtf8(report));  // with one the hub could read nothing of its batch
    base::MutexLock lock(&mu_);
    while (failed_.ok() && without_verdict_ >= static_cast<size_t>(options_.in_flight_max)) room_.Wait(&mu_);
    HUB_RETURN_IF_ERROR(failed_);
    if (without_verdict_++ == 0) last_verdict_ = clock_.Monotonic();
    if (waiting_.empty()) waiting_since_ = clock_.Monotonic();
    waiting_.push_back({tag, std::move(report)});
    // The first one starts the linger, the last one of a batch ends it.
    if (waiting_.size() == 1 || waiting_.size() == static_cast<size_t>(options_.batch_size)) WakeLocked();
    return absl::OkStatus();
  }

  absl::Status Flush() override {
    base::MutexLock lock(&mu_);
    flushing_ = true;
    WakeLocked();
    while (failed_.ok() && without_verdict_ > 0) room_.Wait(&mu_);
    flushing_ = false;
    return failed_;
  }

  absl::StatusOr<std::vector<v1::ReportStatus>> Status(const std::vector<std::string>& report_ids) override {
    std::vector<v1::ReportStatus> statuses;
    for (size_t from = 0; from < report_ids.size(); from += kItemsMax) {
      v1::GetReportStatusRequest request;
      const size_t to = std::min(report_ids.size(), from + kItemsMax);
      for (size_t i = from; i < to; ++i) request.add_report_ids(report_ids[i]);
      HUB_RETURN_IF_ERROR(wire::CheckUtf8(request));
      HUB_ASSIGN_OR_RETURN(v1::GetReportStatusResponse response, StatusOnce(request));
      if (response.statuses_size() != request.report_ids_size()) {
        return absl::InternalError("the hub answered about another number of reports than were asked about");
      }
      std::move(response.mutable_statuses()->begin(), response.mutable_statuses()->end(), std::back_inserter(statuses));
    }
    return statuses;
  }

 private:
  // Asks each address at most once.
  absl::StatusOr<v1::GetReportStatusResponse> StatusOnce(const v1::GetReportStatusRequest& request) {
    v1::GetReportStatusResponse response;
    HUB_RETURN_IF_ERROR(TryEachAddress(status_, &status_first_, [&](const std::shared_ptr<grpc::Channel>& channel) {
      grpc::ClientContext context;
      context.set_deadline(std::chrono::system_clock::now() + absl::ToChronoNanoseconds(options_.call_timeout));  // tidy:clock-ok gRPC takes deadlines of the wall clock
      return rpc::FromGrpc(v1::ReportService::NewStub(channel)->GetReportStatus(&context, request, &response));
    }));
    return response;
  }

  // The reporter's thread: one stream after another, as long as there is work.
  void Run(std::stop_token stop) {
    const std::stop_callback wake(stop, [this] { Wake(); });
    while (!stop.stop_requested()) {
      {
        base::MutexLock lock(&mu_);
        while (waiting_.empty() && !stop.stop_requested()) WaitLocked(absl::InfiniteDuration());
      }
      if (stop.stop_requested()) return;
      const absl::Status why = RunStream(stop);
      if (stop.stop_requested()) return;
      if (!MayPass(why)) return Fail(why);
      // Another address is tried at once, unless all were, or the hub asked for a pause.
      const bool all_tried = channels_.Next();
      const absl::Duration pause = all_tried ? backoff_.Next(retry_hint_) : retry_hint_;
      if (options_.on_pause) options_.on_pause(why, pause);
      PauseUntil(clock_.Monotonic() + pause, stop);
      if (GaveUp()) return Fail(absl::UnavailableError(absl::StrCat("no verdict for ", absl::FormatDuration(options_.give_up_after),
                                                                    "; last: ", why.message())));
    }
  }

  // Until the stream breaks. What it left unanswered is first in line again.
  absl::Status RunStream(std::stop_token stop) {
    Call call([this] { Wake(); });
    const auto stub = v1::ReportService::NewStub(channels_.current());
    stub->async()->StreamReports(call.context(), &call);
    call.Start();
    last_answer_ = clock_.Monotonic();
    absl::Status broken;
    while (!stop.stop_requested() && broken.ok() && !call.closed()) {
      v1::StreamReportsResponse response;
      while (broken.ok() && call.Take(&response)) broken = OnResponse(response);
      if (!broken.ok()) break;
      v1::StreamReportsRequest request;
      if (call.CanWrite() && NextBatch(&request)) call.Write(std::move(request));
      if (GaveUp()) broken = absl::UnavailableError("no verdict");
      if (Overdue()) broken = absl::UnavailableError("a batch was not answered in time");
      base::MutexLock lock(&mu_);
      WaitLocked(SleepLocked());
    }
    const grpc::Status end = call.Finish();
    base::MutexLock lock(&mu_);
    for (auto batch = on_wire_.rbegin(); batch != on_wire_.rend(); ++batch) {
      waiting_.insert(waiting_.begin(), std::make_move_iterator(batch->second.begin()), std::make_move_iterator(batch->second.end()));
    }
    on_wire_.clear();
    retry_hint_ = absl::ZeroDuration();
    if (!broken.ok()) return broken;
    if (end.ok()) return absl::UnavailableError("the hub ended the stream");
    return rpc::FromGrpc(end, &retry_hint_);
  }

  bool NextBatch(v1::StreamReportsRequest* request) {
    base::MutexLock lock(&mu_);
    const absl::Duration now = clock_.Monotonic();
    const size_t size = static_cast<size_t>(options_.batch_size);
    if (waiting_.empty() || now < hold_until_) return false;
    if (waiting_.size() < size && !flushing_ && now < waiting_since_ + options_.linger) return false;
    std::vector<Item>& batch = on_wire_[next_batch_];
    request->set_batch_id(next_batch_++);
    size_t bytes = 0;
    while (!waiting_.empty() && batch.size() < size && (batch.empty() || bytes < kBatchBytesMax)) {
      bytes += waiting_.front().report.ByteSizeLong();
      *request->add_reports() = waiting_.front().report;
      batch.push_back(std::move(waiting_.front()));
      waiting_.pop_front();
    }
    waiting_since_ = now;
    if (on_wire_.size() == 1) last_answer_ = now;
    return true;
  }

  // An error: the answer contradicts the question.
  absl::Status OnResponse(const v1::StreamReportsResponse& response) {
    std::vector<Item> batch;
    {
      base::MutexLock lock(&mu_);
      const auto found = on_wire_.find(response.batch_id());
      if (found == on_wire_.end()) return absl::InternalError("the hub answered a batch that was not sent");
      batch = std::move(found->second);
      on_wire_.erase(found);
    }
    last_answer_ = clock_.Monotonic();
    std::vector<const v1::ReportVerdict*> refused(batch.size(), nullptr);
    size_t refusals = 0;
    for (const v1::RefusedReport& refusal : response.refused()) {
      if (refusal.index() >= batch.size() || refused[refusal.index()] != nullptr) break;
      refused[refusal.index()] = &refusal.verdict();
      ++refusals;
    }
    if (refusals != static_cast<size_t>(response.refused_size()) || refusals + response.accepted() != batch.size()) {
      base::MutexLock lock(&mu_);
      on_wire_[response.batch_id()] = std::move(batch);  // nothing of it is certain: it will be sent again
      return absl::InternalError("the hub's answer doesn't add up to the batch");
    }
    std::vector<Item> again;
    v1::ReportVerdict accepted;
    accepted.set_verdict(v1::VERDICT_ACCEPTED);
    for (size_t i = 0; i < batch.size(); ++i) {
      if (refused[i] != nullptr && refused[i]->verdict() != v1::VERDICT_REJECTED) {
        again.push_back(std::move(batch[i]));
      } else if (refused[i] != nullptr) {
        on_verdict_(batch[i].tag, *refused[i]);
      } else {
        accepted.set_report_id(batch[i].report.report_id());
        on_verdict_(batch[i].tag, accepted);
      }
    }
    const size_t settled = batch.size() - again.size();
    if (settled > 0) channels_.NoteSuccess();  // an answer that gets nothing done is none
    Settle(settled, std::move(again), HintOf(response));
    return absl::OkStatus();
  }

  // `settled` reports have their verdict; `again` go out once more, not before the pause that the hub asks for.
  void Settle(size_t settled, std::vector<Item> again, absl::Duration hint) {
    absl::Duration pause;
    {
      base::MutexLock lock(&mu_);
      const absl::Duration now = clock_.Monotonic();
      without_verdict_ -= settled;
      if (settled > 0) last_verdict_ = now;
      if (settled > 0 && again.empty() && now > hold_until_ + kForgetBackoffAfter) backoff_.Reset();
      if (settled > 0) room_.NotifyAll();
      if (again.empty()) return;
      waiting_.insert(waiting_.begin(), std::make_move_iterator(again.begin()), std::make_move_iterator(again.end()));
      pause = backoff_.Next(hint);
      hold_until_ = std::max(hold_until_, now + pause);
    }
    if (options_.on_pause) options_.on_pause(absl::ResourceExhaustedError("the hub asked to send some reports again"), pause);
  }

  bool GaveUp() {
    base::MutexLock lock(&mu_);
    return without_verdict_ > 0 && clock_.Monotonic() > last_verdict_ + options_.give_up_after;
  }

  bool Overdue() {
    base::MutexLock lock(&mu_);
    return !on_wire_.empty() && clock_.Monotonic() > last_answer_ + options_.answer_timeout;
  }

  // Until something may have to be done that nobody wakes us for.
  absl::Duration SleepLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    const absl::Duration now = clock_.Monotonic();
    absl::Duration sleep = absl::Seconds(1);
    if (waiting_.empty()) return sleep;
    const absl::Duration ready = std::max(hold_until_, flushing_ ? now : waiting_since_ + options_.linger);
    // Past: only the write under way is in the way, and its end wakes us.
    return ready > now ? std::min(sleep, ready - now) : sleep;
  }

  void PauseUntil(absl::Duration until, std::stop_token stop) {
    base::MutexLock lock(&mu_);
    while (!stop.stop_requested()) {
      const absl::Duration left = until - clock_.Monotonic();
      if (left <= absl::ZeroDuration()) return;
      WaitLocked(left);
    }
  }

  void Fail(const absl::Status& why) {
    {
      base::MutexLock lock(&mu_);
      failed_ = why;
      room_.NotifyAll();
    }
    if (options_.on_failed) options_.on_failed(why);
  }

  void Wake() {
    base::MutexLock lock(&mu_);
    WakeLocked();
  }
  void WakeLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    woken_ = true;
    work_.NotifyOne();
  }
  void WaitLocked(absl::Duration at_most) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (!woken_) work_.WaitFor(&mu_, std::min(at_most, absl::Hours(1)));
    woken_ = false;
  }

  const ReporterOptions options_;
  Channels channels_;  // the reporter's thread
  const Channels status_;  // the caller's
  std::atomic<size_t> status_first_{0};
  const OnVerdict on_verdict_;
  const base::RealClock clock_;

  // The reporter's thread only.
  Backoff backoff_;
  absl::Duration last_answer_;
  absl::Duration retry_hint_;
  uint64_t next_batch_ = 1;

  base::Mutex mu_;
  base::CondVar work_;  // for the reporter's thread
  base::CondVar room_;  // for the caller
  bool woken_ ABSL_GUARDED_BY(mu_) = false;
  // Invariant: without_verdict_ = waiting_ + all of on_wire_ + those whose verdicts are being handed out.
  std::deque<Item> waiting_ ABSL_GUARDED_BY(mu_);
  std::map<uint64_t, std::vector<Item>> on_wire_ ABSL_GUARDED_BY(mu_);  // by batch id
  size_t without_verdict_ ABSL_GUARDED_BY(mu_) = 0;
  absl::Duration last_verdict_ ABSL_GUARDED_BY(mu_);
  absl::Duration waiting_since_ ABSL_GUARDED_BY(mu_);
  absl::Duration hold_until_ ABSL_GUARDED_BY(mu_);
  bool flushing_ ABSL_GUARDED_BY(mu_) = false;
  absl::Status failed_ ABSL_GUARDED_BY(mu_);

  base::Thread thread_;  // last: starts when all else is there
};

}  // namespace

std::string NewReportId() {
  return model::ToText(model::MakeTimeBasedId(base::RealClock().TimeNow(), base::RandomBytes(10)));
}

absl::StatusOr<std::unique_ptr<Reporter>> Reporter::Create(const ReporterOptions& options, OnVerdict on_verdict) {
  if (options.batch_size < 1 || options.batch_size > kItemsMax) return absl::InvalidArgumentError("batch_size: want 1 to 1,000");
  if (options.in_flight_max < options.batch_size) return absl::InvalidArgumentError("in_flight_max: want at least batch_size");
  HUB_ASSIGN_OR_RETURN(Channels channels, Channels::Make(options.connection));
  HUB_ASSIGN_OR_RETURN(Channels status,
                       Channels::Make(options.status.server.empty() ? options.connection : options.status));
  return std::make_unique<StreamReporter>(options, std::move(channels), std::move(status), std::move(on_verdict));
}

}  // namespace hub::client

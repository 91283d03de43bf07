#include "services/ingest/ingest_service.h"

#include <google/protobuf/arena.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/support/message_allocator.h>
#include <grpcpp/support/server_callback.h>

#include <atomic>
#include <deque>
#include <optional>
#include <set>

#include "fraudhub/v1/report.grpc.pb.h"
#include "libs/base/check.h"
#include "libs/base/mutex.h"
#include "libs/base/status_macros.h"
#include "libs/rpc/proto_time.h"
#include "libs/rpc/status.h"
#include "services/ingest/report_status.h"

namespace hub::ingest {
namespace {

namespace v1 = ::fraudhub::v1;

// Of one stream without an answer; reading pauses at so many, and HTTP/2 flow control holds the client back. The log's requests, syncs and
// compression serve what waits together, so small batches had better be many.
constexpr int kBatchesOutstandingMax = 64;
constexpr int kReportsOutstandingMax = 8000;  // and one batch more
constexpr absl::Duration kRetryAfter = absl::Seconds(1);

absl::Status Stopping() { return absl::UnavailableError("the hub is shutting down"); }

// One StreamReports call. Callbacks of gRPC and of the log meet under `mu_`. gRPC's never run inside Start... or Finish (it puts them on
// its executor), so starting an operation with the lock held is safe; Finish is called last and without it, as OnDone deletes.
// Requests are read as bytes: gRPC tells one that is no message from the end of the stream to nobody, and the client would be told that all
// is well.
class ReportStream final : public grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  ReportStream(const rpc::Gate* gate, ReportIntake* intake, access::Principal caller,
               std::function<void(ReportStream*)> on_done)
      : gate_(gate), intake_(intake), caller_(std::move(caller)), on_done_(std::move(on_done)) {
    base::MutexLock lock(&mu_);
    reading_ = true;
    StartRead(&incoming_);
  }

  // Reads no more; ends once all is answered.
  void Stop() {
    Change([this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { EndLocked(Stopping()); });
  }

  void OnReadDone(bool ok) override {
    const bool unreadable =
        ok && !grpc::SerializationTraits<v1::StreamReportsRequest>::Deserialize(&incoming_, &request_).ok();
    if (ok && !unreadable) {
      {
        base::MutexLock lock(&mu_);
        ++outstanding_;
        reports_outstanding_ += request_.reports_size();
      }
      TakeBatch();
    }
    Change([this, ok, unreadable]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
      reading_ = false;  // only now is request_ free for the next
      if (!ok) EndLocked(absl::OkStatus());
      if (unreadable) EndLocked(rpc::Unreadable());
    });
  }

  void OnWriteDone(bool ok) override {
    Change([this, ok]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
      writing_ = false;
      if (!ok) cancelled_ = true;
    });
  }

  void OnCancel() override {
    Change([this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { cancelled_ = true; });
  }

  void OnDone() override {
    on_done_(this);
    delete this;
  }

 private:
  void TakeBatch() {
    const uint64_t batch_id = request_.batch_id();
    const int reports = request_.reports_size();
    if (absl::Status allowed = gate_->Readmit(caller_, "ReportService.StreamReports"); !allowed.ok()) {
      return Answer(batch_id, reports, {std::move(allowed)});
    }
    intake_->Submit(*gate_->policy(), caller_, request_.reports(), "reports",
                    [this, batch_id, reports](IntakeResult result) { Answer(batch_id, reports, std::move(result)); });
  }

  // On gRPC's thread or the log's.
  void Answer(uint64_t batch_id, int reports, IntakeResult result) {
    v1::StreamReportsResponse response;
    response.set_batch_id(batch_id);
    response.set_accepted(static_cast<uint32_t>(result.accepted));
    const bool malformed = !result.status.ok() && result.refused.empty();
    *response.mutable_refused() = std::move(result.refused);
    if (result.retry_after > absl::ZeroDuration()) rpc::ToProto(result.retry_after, response.mutable_retry_after());
    Change([&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
      --outstanding_;
      reports_outstanding_ -= reports;
      if (malformed) {
        EndLocked(result.status);
      } else {
        answers_.push_back(std::move(response));
      }
    });
  }

  void EndLocked(absl::Status why) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (!end_) end_ = std::move(why);
  }

  // Applies a change, then starts whatever may start now.
  template <class F>
  void Change(F change) {
    std::optional<absl::Status> finish;
    {
      base::MutexLock lock(&mu_);
      change();
      if (finished_) return;
      if (cancelled_) answers_.clear();
      if (!writing_ && !answers_.empty()) {
        writing_ = true;
        outgoing_.Clear();  // gRPC wants to fill an empty one
        bool own_buffer = false;
        HUB_CHECK(
            grpc::SerializationTraits<v1::StreamReportsResponse>::Serialize(answers_.front(), &outgoing_, &own_buffer)
                .ok());
        answers_.pop_front();
        StartWrite(&outgoing_);
      }
      const bool ending = cancelled_ || end_.has_value();
      // A client that doesn't read its answers is not read from, either.
      if (!reading_ && !ending && outstanding_ + static_cast<int>(answers_.size()) < kBatchesOutstandingMax &&
          reports_outstanding_ < kReportsOutstandingMax) {
        reading_ = true;
        StartRead(&incoming_);
      }
      // `request_` is in use while a batch is being taken, which counts as outstanding.
      if (ending && outstanding_ == 0 && !writing_ && answers_.empty()) {
        finished_ = true;
        finish = end_.value_or(absl::CancelledError("the client is gone"));
      }
    }
    if (finish) Finish(rpc::ToGrpc(*finish, absl::IsUnavailable(*finish) ? kRetryAfter : absl::ZeroDuration()));
  }

  const rpc::Gate* const gate_;
  ReportIntake* const intake_;
  const access::Principal caller_;
  const std::function<void(ReportStream*)> on_done_;

  grpc::ByteBuffer incoming_;         // gRPC's while a read is under way
  v1::StreamReportsRequest request_;  // while reading_; TakeBatch takes from it
  grpc::ByteBuffer outgoing_;         // gRPC's while writing_
  base::Mutex mu_;
  bool reading_ ABSL_GUARDED_BY(mu_) = false;  // an open read, or a batch being taken from it
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
  int outstanding_ ABSL_GUARDED_BY(mu_) = 0;
  int reports_outstanding_ ABSL_GUARDED_BY(mu_) = 0;
  std::deque<v1::StreamReportsResponse> answers_
      ABSL_GUARDED_BY(mu_);  // at most kBatchesOutstandingMax, and what is being written
  bool cancelled_ ABSL_GUARDED_BY(mu_) = false;
  std::optional<absl::Status> end_ ABSL_GUARDED_BY(mu_);
  bool finished_ ABSL_GUARDED_BY(mu_) = false;
};

// A call's messages. The request lies in one block: a batch has some thousand parts, and taking them from the heap one by one costs as much
// as all checks together. The response does not: its verdicts are made elsewhere and moved in.
class CallMessages final : public grpc::MessageHolder<v1::SubmitReportsRequest, v1::SubmitReportsResponse> {
 public:
  CallMessages() : arena_(BlockSizes()) {
    set_request(google::protobuf::Arena::CreateMessage<v1::SubmitReportsRequest>(&arena_));
    set_response(&response_);
  }
  void Release() override { delete this; }

 private:
  static google::protobuf::ArenaOptions BlockSizes() {
    google::protobuf::ArenaOptions options;
    options.start_block_size = 2 * 1024;
    options.max_block_size = 64 * 1024;
    return options;
  }
  google::protobuf::Arena arena_;
  v1::SubmitReportsResponse response_;
};

class CallMessagesAllocator final : public grpc::MessageAllocator<v1::SubmitReportsRequest, v1::SubmitReportsResponse> {
 public:
  grpc::MessageHolder<v1::SubmitReportsRequest, v1::SubmitReportsResponse>* AllocateMessages() override {
    return new CallMessages();
  }
};

using CallbackService =
    v1::ReportService::WithCallbackMethod_SubmitReports<v1::ReportService::WithRawCallbackMethod_StreamReports<
        v1::ReportService::WithCallbackMethod_GetReportStatus<v1::ReportService::Service>>>;

class Impl final : public IngestService, public CallbackService {
 public:
  Impl(const rpc::Gate* gate, ReportIntake* intake, const replica::Replica* replica, rpc::WorkerPool* workers)
      : gate_(gate), intake_(intake), replica_(replica), workers_(workers) {
    SetMessageAllocatorFor_SubmitReports(&messages_);
  }

  grpc::Service* service() override { return this; }

  void StopIntake() override {
    base::MutexLock lock(&mu_);
    stopping_ = true;
    for (ReportStream* stream : streams_) stream->Stop();  // its OnDone waits for this lock on another thread
  }

  grpc::ServerUnaryReactor* SubmitReports(grpc::CallbackServerContext* context, const v1::SubmitReportsRequest* request,
                                          v1::SubmitReportsResponse* response) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    const absl::StatusOr<access::Principal> caller = Admit(*context, "ReportService.SubmitReports");
    if (!caller.ok()) {
      reactor->Finish(
          rpc::ToGrpc(caller.status(), absl::IsUnavailable(caller.status()) ? kRetryAfter : absl::ZeroDuration()));
      return reactor;
    }
    // The request stays until Finish.
    const auto answer = [reactor, request, response](IntakeResult result) {
      if (!result.status.ok()) return reactor->Finish(rpc::ToGrpc(result.status, result.retry_after));
      response->mutable_verdicts()->Reserve(request->reports_size());
      for (const v1::Report& report : request->reports()) {
        v1::ReportVerdict* const verdict = response->add_verdicts();
        verdict->set_report_id(report.report_id());
        verdict->set_verdict(v1::VERDICT_ACCEPTED);
      }
      for (v1::RefusedReport& refused : result.refused) {
        *response->mutable_verdicts(static_cast<int>(refused.index())) = std::move(*refused.mutable_verdict());
      }
      if (result.retry_after > absl::ZeroDuration()) rpc::ToProto(result.retry_after, response->mutable_retry_after());
      reactor->Finish(grpc::Status::OK);
    };
    intake_->Submit(*gate_->policy(), *caller, request->reports(), "reports", answer);
    return reactor;
  }

  grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* StreamReports(
      grpc::CallbackServerContext* context) override {
    absl::StatusOr<access::Principal> caller = Admit(*context, "ReportService.StreamReports");
    if (!caller.ok()) return new RefusedStream(rpc::ToGrpc(caller.status()));
    base::MutexLock lock(&mu_);
    if (stopping_) return new RefusedStream(rpc::ToGrpc(absl::UnavailableError("the hub is stopping"), kRetryAfter));
    auto* stream = new ReportStream(gate_, intake_, *std::move(caller), [this](ReportStream* done) {
      base::MutexLock done_lock(&mu_);
      streams_.erase(done);
    });
    streams_.insert(stream);
    return stream;
  }

  grpc::ServerUnaryReactor* GetReportStatus(grpc::CallbackServerContext* context,
                                            const v1::GetReportStatusRequest* request,
                                            v1::GetReportStatusResponse* response) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    absl::StatusOr<access::Principal> caller = gate_->Admit(*context, "ReportService.GetReportStatus");
    if (!caller.ok()) {
      reactor->Finish(rpc::ToGrpc(caller.status()));
      return reactor;
    }
    if (replica_ == nullptr) {
      reactor->Finish(rpc::ToGrpc(absl::UnimplementedError("hub-query tells what became of reports")));
      return reactor;
    }
    const absl::Status taken = workers_->Run([this, reactor, request, response, caller = *std::move(caller)] {
      reactor->Finish(rpc::ToGrpc(ingest::GetReportStatus(*replica_, *gate_->policy(), caller, *request, response)));
    });
    if (!taken.ok()) reactor->Finish(rpc::ToGrpc(taken, kRetryAfter));
    return reactor;
  }

 private:
  class RefusedStream final : public grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
   public:
    explicit RefusedStream(const grpc::Status& status) { Finish(status); }
    void OnDone() override { delete this; }
  };

  absl::StatusOr<access::Principal> Admit(const grpc::CallbackServerContext& context, absl::string_view rpc) {
    {
      base::MutexLock lock(&mu_);
      if (stopping_) return Stopping();
    }
    return gate_->Admit(context, rpc);
  }

  const rpc::Gate* const gate_;
  ReportIntake* const intake_;
  const replica::Replica* const replica_;
  rpc::WorkerPool* const workers_;
  CallMessagesAllocator messages_;
  base::Mutex mu_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::set<ReportStream*> streams_ ABSL_GUARDED_BY(mu_);
};

}  // namespace

std::unique_ptr<IngestService> IngestService::Create(const rpc::Gate* gate, ReportIntake* intake,
                                                     const replica::Replica* replica, rpc::WorkerPool* workers) {
  return std::make_unique<Impl>(gate, intake, replica, workers);
}

}  // namespace hub::ingest

#include "libs/rpc/egress_call.h"

#include <grpcpp/alarm.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/support/async_stream.h>
#include <grpcpp/support/byte_buffer.h>

#include "libs/base/mutex.h"
#include "libs/rpc/egress_bytes.h"
#include "libs/rpc/status.h"

namespace hub::rpc {
namespace {

struct Tag {
  CallEvent event;
  EgressCall* call;
  void* owner;
};

class Call final : public EgressCall {
 public:
  explicit Call(void* owner)
      : arrived_tag_{CallEvent::kArrived, this, owner},
        opened_tag_{CallEvent::kOpened, this, owner},
        read_tag_{CallEvent::kRead, this, owner},
        written_tag_{CallEvent::kWritten, this, owner},
        finished_tag_{CallEvent::kFinished, this, owner},
        over_tag_{CallEvent::kOver, this, owner} {}

  void Ask(EgressMethod* method, grpc::ServerCompletionQueue* queue) override {
    context_.AsyncNotifyWhenDone(&over_tag_);
    method->AskForCall(&context_, &call_, queue, &arrived_tag_);
  }
  const grpc::ServerContextBase& context() const override { return context_; }
  std::string peer() const override { return context_.peer(); }

  void Open() override {
    opening_ = true;
    call_.SendInitialMetadata(&opened_tag_);
  }
  void Read() override {
    reading_ = true;
    call_.Read(&read_buffer_, &read_tag_);
  }
  std::string TakeMessage() override {
    std::string message = Flatten(read_buffer_);
    read_buffer_.Clear();
    return message;
  }
  size_t Write(const std::vector<EgressSlice>& slices) override {
    size_t bytes = 0;
    const grpc::ByteBuffer message = ToByteBuffer(slices, &bytes);
    writing_ = true;
    call_.Write(message, &written_tag_);
    return bytes;
  }
  void Finish(const absl::Status& status, absl::Duration retry_after) override {
    finished_ = finishing_ = true;
    call_.Finish(ToGrpc(status, retry_after), &finished_tag_);
  }
  void WriteAndFinish(const std::vector<EgressSlice>& slices, const absl::Status& status,
                      absl::Duration retry_after) override {
    size_t bytes = 0;
    const grpc::ByteBuffer message = ToByteBuffer(slices, &bytes);
    finished_ = finishing_ = true;
    call_.WriteAndFinish(message, grpc::WriteOptions(), ToGrpc(status, retry_after), &finished_tag_);
  }
  void Cancel() override { context_.TryCancel(); }

  void Told(CallEvent event, bool ok) override {
    switch (event) {
      case CallEvent::kOpened:
        opening_ = false;
        opened_ = ok;
        return;
      case CallEvent::kRead:
        reading_ = false;
        return;
      case CallEvent::kWritten:
        writing_ = false;
        return;
      case CallEvent::kFinished:
        finishing_ = false;
        return;
      case CallEvent::kOver:
        over_ = true;
        return;
      case CallEvent::kArrived:
      case CallEvent::kKicked:
        return;
    }
  }

 private:
  grpc::ServerContext context_;
  EgressMethod::Call call_{&context_};
  grpc::ByteBuffer read_buffer_;  // gRPC's while a read is pending
  Tag arrived_tag_, opened_tag_, read_tag_, written_tag_, finished_tag_, over_tag_;
};

}  // namespace

std::unique_ptr<EgressCall> EgressCall::Create(void* owner) { return std::make_unique<Call>(owner); }

struct EgressQueue::Impl {
  std::unique_ptr<grpc::ServerCompletionQueue> queue;
  base::Mutex mu;  // held into gRPC: nothing may be posted after the queue was shut down
  bool kicked ABSL_GUARDED_BY(mu) = false;
  bool shut_down ABSL_GUARDED_BY(mu) = false;
  grpc::Alarm alarm;
  Tag kick{CallEvent::kKicked, nullptr, nullptr};
};

EgressQueue::EgressQueue(std::unique_ptr<grpc::ServerCompletionQueue> queue) : impl_(std::make_unique<Impl>()) {
  impl_->queue = std::move(queue);
}
EgressQueue::~EgressQueue() = default;

EgressQueue::Got EgressQueue::Next(absl::Duration wait, Event* event) {
  const gpr_timespec deadline = wait <= absl::ZeroDuration()
                                    ? gpr_inf_past(GPR_CLOCK_MONOTONIC)
                                    : gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                                                   gpr_time_from_nanos(absl::ToInt64Nanoseconds(wait), GPR_TIMESPAN));
  void* tag = nullptr;
  bool ok = false;
  switch (impl_->queue->AsyncNext(&tag, &ok, deadline)) {
    case grpc::CompletionQueue::SHUTDOWN:
      return Got::kEnd;
    case grpc::CompletionQueue::TIMEOUT:
      return Got::kTimeout;
    case grpc::CompletionQueue::GOT_EVENT:
      break;
  }
  const Tag* told = static_cast<Tag*>(tag);
  *event = {told->event, told->owner, ok};
  if (told->event == CallEvent::kKicked) {
    base::MutexLock lock(&impl_->mu);
    impl_->kicked = false;
  } else {
    told->call->Told(told->event, ok);
  }
  return Got::kEvent;
}

void EgressQueue::Kick() {
  base::MutexLock lock(&impl_->mu);
  if (impl_->kicked || impl_->shut_down) return;
  impl_->kicked = true;
  impl_->alarm.Set(impl_->queue.get(), gpr_inf_past(GPR_CLOCK_MONOTONIC), &impl_->kick);
}

void EgressQueue::Shutdown() {
  base::MutexLock lock(&impl_->mu);
  if (impl_->shut_down) return;
  impl_->shut_down = true;
  impl_->queue->Shutdown();
}

grpc::ServerCompletionQueue* EgressQueue::get() const { return impl_->queue.get(); }

}  // namespace hub::rpc

// One bidirectional stream as its owner thread sees it: poll for messages, write one at a time, never block in a callback. Private to
// this library; only .cc files include it.
//
// A message is read only after the one before it was taken: an owner that is slow makes HTTP/2 flow control slow the sender.
// Thread safety: Start, Take, Write, Finish from one thread. `wake` is called on gRPC's threads, without a lock, whenever the owner
// should look again; it must stay valid until Finish has returned.
#pragma once

#include <grpcpp/client_context.h>  // tidy:third-party-ok private to this library, included by .cc files only
#include <grpcpp/support/client_callback.h>  // tidy:third-party-ok private to this library, included by .cc files only

#include <functional>
#include <utility>

#include "libs/base/check.h"
#include "libs/base/mutex.h"

namespace hub::client {

template <class Request, class Response>
class DuplexCall final : public grpc::ClientBidiReactor<Request, Response> {
 public:
  explicit DuplexCall(std::function<void()> wake) : wake_(std::move(wake)) {}
  ~DuplexCall() override { Finish(); }

  grpc::ClientContext* context() { return &context_; }

  // REQUIRES: the stub's method was called with context() and this; once.
  void Start() {
    started_ = true;
    this->AddHold();  // Write and Take begin operations outside of callbacks
    this->StartRead(&incoming_);
    this->StartCall();
  }

  bool CanWrite() {
    base::MutexLock lock(&mu_);
    return !writing_ && !closed_ && !write_failed_;
  }

  // REQUIRES: CanWrite().
  void Write(Request request) {
    {
      base::MutexLock lock(&mu_);
      HUB_CHECK(!writing_);
      writing_ = true;
    }
    outgoing_ = std::move(request);
    this->StartWrite(&outgoing_);
  }

  // False: no message has come since the last one.
  bool Take(Response* response) {
    {
      base::MutexLock lock(&mu_);
      if (!arrived_) return false;
      arrived_ = false;
    }
    *response = std::move(incoming_);
    incoming_.Clear();
    this->StartRead(&incoming_);
    return true;
  }

  // The other side has ended, and every message was taken.
  bool closed() {
    base::MutexLock lock(&mu_);
    return closed_;
  }

  // Cancels unless the other side has ended; returns how the call ended. May be called again.
  grpc::Status Finish() {
    if (!started_) return grpc::Status::OK;
    if (!finishing_) {
      finishing_ = true;
      if (!closed()) context_.TryCancel();
      this->RemoveHold();
    }
    base::MutexLock lock(&mu_);
    while (!done_) done_changed_.Wait(&mu_);
    return status_;
  }

 private:
  void OnReadDone(bool ok) override {
    {
      base::MutexLock lock(&mu_);
      (ok ? arrived_ : closed_) = true;
    }
    wake_();
  }

  void OnWriteDone(bool ok) override {
    {
      base::MutexLock lock(&mu_);
      writing_ = false;
      write_failed_ = write_failed_ || !ok;
    }
    wake_();
  }

  void OnDone(const grpc::Status& status) override {
    base::MutexLock lock(&mu_);
    status_ = status;
    done_ = true;
    done_changed_.NotifyAll();
  }

  const std::function<void()> wake_;
  grpc::ClientContext context_;
  bool started_ = false;
  bool finishing_ = false;
  Response incoming_;  // gRPC's while a read is under way
  Request outgoing_;   // gRPC's while writing_
  base::Mutex mu_;
  base::CondVar done_changed_;
  bool arrived_ ABSL_GUARDED_BY(mu_) = false;
  bool closed_ ABSL_GUARDED_BY(mu_) = false;
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
  bool write_failed_ ABSL_GUARDED_BY(mu_) = false;
  bool done_ ABSL_GUARDED_BY(mu_) = false;
  grpc::Status status_ ABSL_GUARDED_BY(mu_);
};

}  // namespace hub::client

// One call of a raw asynchronous bidi method, and the completion queue that tells what became of it: all of gRPC that a shard sees.
//
// Private to libs/rpc. Thread safety: EgressQueue::Kick and EgressCall::Ask from any thread; everything else from the queue's thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "libs/rpc/egress.h"

namespace hub::rpc {

enum class CallEvent : uint8_t { kArrived, kOpened, kRead, kWritten, kFinished, kOver, kKicked };

// Invariants:
// 1. At most one read, and one write or finish, is pending at a time; after a finish was posted nothing more is written.
// 2. It may be destroyed when it is over and nothing is pending, or when it never arrived.
class EgressCall {
 public:
  // `owner` comes back with each event.
  static std::unique_ptr<EgressCall> Create(void* owner);
  virtual ~EgressCall() = default;

  // Waits for the next call of the method: kArrived.
  virtual void Ask(EgressMethod* method, grpc::ServerCompletionQueue* queue) = 0;
  virtual const grpc::ServerContextBase& context() const = 0;
  virtual std::string peer() const = 0;

  virtual void Open() = 0;  // sends the initial metadata: kOpened
  virtual void Read() = 0;  // kRead
  // What was read last; once.
  virtual std::string TakeMessage() = 0;
  virtual size_t Write(const std::vector<EgressSlice>& slices) = 0;                 // the bytes of it; kWritten
  virtual void Finish(const absl::Status& status, absl::Duration retry_after) = 0;  // kFinished
  virtual void WriteAndFinish(const std::vector<EgressSlice>& slices, const absl::Status& status,
                              absl::Duration retry_after) = 0;
  virtual void Cancel() = 0;

  // The queue's thread says what it was told.
  virtual void Told(CallEvent event, bool ok) = 0;
  bool opened() const { return opened_; }      // the initial metadata is out
  bool writing() const { return writing_; }    // a write is pending
  bool finished() const { return finished_; }  // a finish was posted
  bool over() const { return over_; }          // nothing that is sent arrives any more
  bool CanWrite() const { return opened_ && !writing_ && !finished_ && !over_; }
  bool CanFinish() const { return !opening_ && !writing_ && !finished_ && !over_; }
  bool CanRead() const { return !reading_ && !finished_ && !over_; }
  bool CanGo() const { return over_ && !opening_ && !reading_ && !writing_ && !finishing_; }

 protected:
  bool opened_ = false, opening_ = false, reading_ = false, writing_ = false, finishing_ = false;
  bool finished_ = false, over_ = false;
};

class EgressQueue {
 public:
  explicit EgressQueue(std::unique_ptr<grpc::ServerCompletionQueue> queue);
  ~EgressQueue();

  struct Event {
    CallEvent event;
    void* owner;  // null: kKicked
    bool ok;
  };
  enum class Got { kEvent, kTimeout, kEnd };
  // Waits for an event, at most so long; zero or less: takes what there is. kEnd: shut down, and everything has been told.
  Got Next(absl::Duration wait, Event* event);
  // Wakes Next.
  void Kick();
  // Nothing may be posted any more.
  void Shutdown();
  grpc::ServerCompletionQueue* get() const;

 private:
  struct Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace hub::rpc

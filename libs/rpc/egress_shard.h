// One completion queue, one thread, and the streams that live on them.
//
// Private to libs/rpc. Thread safety: any thread, but for Run, which is the shard's own thread.
#pragma once

#include <memory>

#include "absl/time/time.h"
#include "libs/rpc/egress.h"
#include "libs/rpc/egress_house.h"

namespace hub::rpc {

class EgressShard {
 public:
  static std::unique_ptr<EgressShard> Create(EgressHouse* house, int index,
                                             std::unique_ptr<grpc::ServerCompletionQueue> queue);
  virtual ~EgressShard() = default;

  // Until Close was called and the last stream is gone.
  virtual void Run() = 0;
  // REQUIRES: the server is up, or shutting down.
  virtual void AskForCall() = 0;
  // Streams and calls asked for.
  virtual int load() const = 0;
  virtual void Wake(EgressNews news) = 0;
  virtual void StartDrain(absl::Duration window) = 0;
  // Ends some streams for want of memory: those that catch up, newest first, then the newest of those that lag; never one that is
  // current.
  virtual void Shed(int count) = 0;
  // REQUIRES: the server's Shutdown has returned.
  virtual void Close() = 0;
};

}  // namespace hub::rpc

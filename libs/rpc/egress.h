// The writing side of streams: decides when which stream writes; what is written comes from an EgressSource.
//
// One message in flight per stream; the payload is gathered from shared slices without a copy. This implementation rides on gRPC's
// callback API with one pacing thread; the completion-queue loop that DESIGN.md 6 describes replaces it behind this header.
// Thread safety: an EgressSource is called by one thread at a time, never concurrently with itself.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "libs/base/metrics.h"

namespace grpc {
class ByteBuffer;
class CallbackServerContext;
template <class Request, class Response>
class ServerBidiReactor;
}  // namespace grpc

namespace hub::rpc {

struct EgressSlice {
  std::shared_ptr<const void> owner;
  absl::string_view bytes;
};

// What a stream writes and does with what it reads.
class EgressSource {
 public:
  virtual ~EgressSource() = default;
  // A message from the client, serialised. An error ends the stream with it.
  virtual absl::Status OnMessage(absl::string_view bytes) = 0;
  // The next message to write; empty: nothing now. An error ends the stream with it.
  virtual absl::StatusOr<std::vector<EgressSlice>> Next() = 0;
  // The server drains: the last message to write before the stream ends with UNAVAILABLE; may be empty.
  virtual std::vector<EgressSlice> Farewell() = 0;
  // The stream is over, for whatever reason; called once, last.
  virtual void OnDone() = 0;
};

struct EgressOptions {
  absl::Duration linger = absl::Milliseconds(5);        // pause between two looks at all streams
  absl::Duration write_stalled_after = absl::Seconds(60);  // a write pending longer ends the stream
  int streams_max = 5000;                               // further opens are refused with ResourceExhausted
};

class EgressLoop {
 public:
  static std::unique_ptr<EgressLoop> Start(const EgressOptions& options, base::Metrics* metrics);
  virtual ~EgressLoop() = default;
  // For a raw bidi method (WithRawCallbackMethod_...). `source` null: ends at once with `refusal`.
  virtual grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* Serve(grpc::CallbackServerContext* context,
                                                                             std::unique_ptr<EgressSource> source,
                                                                             const absl::Status& refusal) = 0;
  // There may be news: look now rather than at the next tick.
  virtual void Wake() = 0;
  // Ends every stream with its Farewell, paced over `window`; returns when none is left or the window and a grace passed.
  virtual void Drain(absl::Duration window) = 0;
  virtual int streams() const = 0;
};

}  // namespace hub::rpc

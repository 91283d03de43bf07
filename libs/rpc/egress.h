// The writing side of streams: decides when which stream writes; what is written comes from an EgressSource.
//
// One message in flight per stream; the payload is gathered from shared slices without a copy. This implementation rides on gRPC's
// callback API with a few pacing threads, each with its share of the streams; the completion-queue loop that DESIGN.md 6 describes
// replaces it behind this header.
//
// Pace: news that comes alone is written at once; under load a pass over all streams starts at most every `linger_max`, sooner as long
// as passes are cheap. A stream that fills its messages (a backlog) goes on as soon as its last write is done, without waiting for a pass.
// Thread safety: EgressLoop from any thread. All methods of one EgressSource are called by one pacing thread, which must not be
// blocked for long: other streams wait meanwhile.
#pragma once

#include <cstdint>
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
  // The client will send nothing more; it may go on to read. An error ends the stream with it.
  virtual absl::Status OnHalfClose() { return absl::OkStatus(); }
  // The next message to write; empty: nothing now. An error ends the stream with it.
  virtual absl::StatusOr<std::vector<EgressSlice>> Next() = 0;
  // May the caller still have this stream? Asked every `recheck_interval`, also while a write is pending; an error ends the stream at
  // once, and what is in flight is dropped.
  virtual absl::Status StillAllowed() { return absl::OkStatus(); }
  // The server drains: the last message to write before the stream ends with UNAVAILABLE; may be empty.
  virtual std::vector<EgressSlice> Farewell() = 0;
  // The stream is over, for whatever reason; called once, last.
  virtual void OnDone() = 0;
};

struct EgressOptions {
  int threads = 1;
  absl::Duration linger_max = absl::Milliseconds(20);      // longest pause between two passes while there is news
  absl::Duration write_stalled_after = absl::Seconds(60);  // a write pending longer cancels the stream
  absl::Duration recheck_interval = absl::Seconds(2);      // of StillAllowed
  absl::Duration retry_after = absl::Seconds(5);           // told to those refused for load, and when a stream ends UNAVAILABLE
  int streams_max = 5000;                                  // further opens are refused with ResourceExhausted (kOverloaded)
};

class EgressLoop {
 public:
  static std::unique_ptr<EgressLoop> Start(const EgressOptions& options, base::Metrics* metrics);
  virtual ~EgressLoop() = default;
  // For a raw bidi method (WithRawCallbackMethod_...). `source` null: ends at once with `refusal`. The result is gRPC's.
  virtual grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* Serve(grpc::CallbackServerContext* context,
                                                                             std::unique_ptr<EgressSource> source,
                                                                             const absl::Status& refusal) = 0;
  // There may be news for any stream: look soon.
  virtual void Wake() = 0;
  // Ends every stream with its Farewell, paced over `window`, and refuses new ones; returns when none is left, or a second after the
  // window. Streams whose client doesn't read are cancelled at the window's end.
  virtual void Drain(absl::Duration window) = 0;
  virtual int streams() const = 0;
};

}  // namespace hub::rpc

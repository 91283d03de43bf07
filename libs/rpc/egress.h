// The writing side of streams: decides when which stream writes; what is written comes from an EgressSource.
//
// gRPC's asynchronous API: a completion queue and a thread per core, streams shared out evenly over them, one message in flight per
// stream, its payload gathered from shared slices without a copy.
//
// Linger: news that comes alone is written at once. Under load news gathers, and all streams are passed over together, as seldom as is
// needed to keep the work below `core_share` of a core, at most every `linger_max` (times streams / 1,000 on a thread with more, up to
// `linger_crowded_max`); a write costs what it costs whatever is inside. Measured, per write with all that goes with it (asking the
// source, TLS, acknowledgements, metrics): 6 us saturated to 11 us paced in clear. So a node needs about
//   cores = streams x 11 us / linger            (600 streams, 20 ms: a third of a core; 5,000 at 100 ms: half of one)
// and a thread that has to wait for a core lingers longer before it falls behind. Urgent news is written at once.
// Fairness: a thread's time is shared by deficit round robin, first between streams that are current and those that read the log (their
// shares hold while both want to write), then between the streams of each kind.
// Bounds: streams (more are refused), what one stream's client may send (see read_interval), how long a write may be pending (the stream
// is cancelled, then its connection cut), memory of the process (streams that catch up go first, then the newest that lag).
// Thread safety: EgressLoop from any thread. Accept and all methods of one EgressSource are called by one egress thread, which must not
// be blocked for long: other streams wait meanwhile.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
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
class ServerBuilder;
class ServerCompletionQueue;
class ServerContext;
class ServerContextBase;
template <class Written, class Read>
class ServerAsyncReaderWriter;
}  // namespace grpc

namespace hub::rpc {

struct EgressSlice {
  std::shared_ptr<const void> owner;
  absl::string_view bytes;
};

// Where a stream stands: which share of the thread pays for it, and who has to go when memory is short.
enum class EgressStanding {
  kOpening,  // the client hasn't said yet what it wants
  kCurrent,  // its messages come from memory
  kParked,   // it has to acknowledge before it gets more
  kCatchup,  // its last message came from the log, or is to
};

// Why the server ends a stream of its own will.
enum class EgressEnd { kDrain, kAge, kShed };

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
  // Is it worth asking Next again as soon as its last message is written, or did that take all there was?
  virtual bool HasMore() const { return true; }
  virtual EgressStanding Standing() const { return EgressStanding::kCurrent; }
  // Of one that reads a log, how far it has come; those furthest behind are served first, now and then, so that what is read serves many.
  virtual int64_t Place() const { return std::numeric_limits<int64_t>::max(); }
  // May the caller still have this stream? Asked every `recheck_interval`, also while a write is pending; an error ends the stream at
  // once, and what is in flight is dropped.
  virtual absl::Status StillAllowed() { return absl::OkStatus(); }
  // The last message to write before the server ends the stream; may be empty.
  virtual std::vector<EgressSlice> Farewell(EgressEnd why) = 0;
  // The stream is over, for whatever reason; called once, last.
  virtual void OnDone() = 0;
};

// A bidi method of a gRPC service, declared raw and asynchronous (WithRawMethod_...).
class EgressMethod {
 public:
  using Call = grpc::ServerAsyncReaderWriter<grpc::ByteBuffer, grpc::ByteBuffer>;
  virtual ~EgressMethod() = default;
  // Request<Method>(context, call, queue, queue, tag). Called by any egress thread.
  virtual void AskForCall(grpc::ServerContext* context, Call* call, grpc::ServerCompletionQueue* queue, void* tag) = 0;
  // A call has come: an error refuses it. Called by any egress thread.
  virtual absl::StatusOr<std::unique_ptr<EgressSource>> Accept(const grpc::ServerContextBase& context) = 0;
};

struct EgressOptions {
  int threads = 1;
  absl::Duration linger_min =
      absl::ZeroDuration();  // shortest pause between two passes; equal to the longest: not adaptive
  absl::Duration linger_max = absl::Milliseconds(100);  // longest
  absl::Duration linger_crowded_max = absl::Milliseconds(250);
  double core_share = 0.6;     // of a core that passes may take before they become rarer
  double catchup_share = 0.3;  // of a thread's time for streams that read the log while others want it
  absl::Duration write_stalled_after =
      absl::Seconds(60);  // a write pending longer cancels the stream; two seconds later the cut
  absl::Duration recheck_interval = absl::Seconds(2);  // of StillAllowed
  absl::Duration retry_after = absl::Seconds(5);  // told to those refused for load, and when a stream ends UNAVAILABLE
  absl::Duration stream_age_max =
      absl::InfiniteDuration();  // a stream is ended at 80 to 100 % of it, to be opened again elsewhere
  // A client's messages are read so far apart once it has used up a burst; what it sends faster waits in its own window of HTTP/2.
  absl::Duration read_interval = absl::Milliseconds(10);
  int streams_max = 5000;        // further opens are refused with ResourceExhausted (kOverloaded)
  int64_t memory_bytes_max = 0;  // of the process; beyond it opens are refused and streams are shed. 0: no bound
  std::function<int64_t()> memory_used;  // null: resident memory of this process
};

// Why streams are to be asked.
enum class EgressNews {
  kForAll,      // there may be news for any stream: soon, together with what else comes until then
  kUrgent,      // the same, at once
  kForReaders,  // what streams that catch up, or open, wait for may be there: those only, at once
};

class EgressLoop {
 public:
  static std::unique_ptr<EgressLoop> Create(const EgressOptions& options, base::Metrics* metrics);
  virtual ~EgressLoop() = default;

  // For Server, in this order. `method` and the function outlive the loop's threads.
  virtual void SetMethod(EgressMethod* method) = 0;
  // Cuts a connection whose peer takes nothing, by what gRPC calls the peer; true when it did. Called some time after a stream of it was
  // cancelled; without this function cancelling is all that is done, and what gRPC holds for the peer stays until the kernel gives up.
  virtual void SetCut(std::function<bool(absl::string_view peer)> cut) = 0;
  virtual void AddQueues(grpc::ServerBuilder* builder) = 0;
  // The server is up: starts the threads.
  virtual void Begin() = 0;
  // REQUIRES: the server's Shutdown has returned. Waits for the last stream, ends the queues and the threads.
  virtual void Finish() = 0;

  // Streams are asked as `news` says.
  virtual void Wake(EgressNews news) = 0;
  // Ends every stream with its Farewell, paced over `window`, and refuses new ones; returns when none is left, or a second after the
  // window. Streams whose client doesn't read are cancelled, then cut, at the window's end.
  virtual void Drain(absl::Duration window) = 0;
  virtual int streams() const = 0;
};

}  // namespace hub::rpc

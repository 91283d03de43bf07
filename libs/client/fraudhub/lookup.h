// "Is it flagged, and how?", asked of a hub or of a bank's edges, or of a replica that this process holds itself. Thread safety: any thread.
//
//   auto lookup = fraudhub::Lookup::Create({.server = "unix:/run/fraudhub-edge/lookup.sock,10.0.0.2:7446"});  // two edges side by side
//   auto lookup = fraudhub::Lookup::Open("/var/lib/bank/replica", {.hub = {.server = "hub.example:7444", .identity_dir = "..."}});
//   fraudhub::Result<fraudhub::v1::LookupResponse> answer = lookup->Get(request, std::chrono::milliseconds(200));
//
// The replica is hub-edge without the server: it follows the hub's stream into the folder, answers from memory and from there without a call,
// survives outages of the hub and its own process' end, and goes on where it was. What it can't vouch for (nothing complete yet, data older than
// `age_max`) is UNKNOWN. Memory: 3 to 4 bytes per indicator, and up to 400 MB of the disk's caches and buffers. Damaged files are set aside, said
// aloud, and fetched again. What it holds is what this stakeholder may see: the folder is to be read by its service only.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "fraudhub/connection.h"
#include "fraudhub/result.h"
#include "fraudhub/status.h"

namespace fraudhub {

namespace v1 {  // fraudhub/v1/lookup.pb.h
class LookupRequest;
class LookupResponse;
}  // namespace v1

struct ReplicaOptions {
  Connection hub{};                           // where it streams
  std::string query_server{};                 // where it answers lookups; empty: at the same address
  std::chrono::milliseconds age_max{60'000};  // from older data every answer is UNKNOWN
  std::string client_id{};                    // helps to find the stream in the hub's log and lists; at most 64 bytes
  bool allow_test_range = false;              // +91 555 ... are identifiers like others: for tests
};

class Lookup {
 public:
  // kInvalidArgument: bad address or identity. It doesn't wait for a connection to stand: everything else shows on the first Get.
  static Result<Lookup> Create(const Connection& connection);
  // A replica in `folder`, which is made if it is not there; what it held is answered from at once, if it is not too old. kInvalidArgument: bad
  // address, identity or numbers; kFailedPrecondition: another process has the folder open; kUnavailable, kResourceExhausted: of the disk.
  static Result<Lookup> Open(const std::string& folder, const ReplicaOptions& options);
  Lookup(Lookup&&) noexcept;  // one that was moved from may only be assigned to or destroyed
  Lookup& operator=(Lookup&&) noexcept;
  ~Lookup();

  // As many results as identifiers, 1 to 1,000, in their order. LOOKUP_VERDICT_UNKNOWN is never "nothing known": nobody can tell just now.
  //
  // Of a replica: no call is made, and `timeout` counts for nothing. Else asks the address that served last, then the others, each at most
  // once, until one knows everything; the next call begins with that one.
  // An address that can't be reached costs next to nothing, one that is silent half of the time that is left, and one whose data is too old
  // (UNKNOWN) a call: where all of them are so, the answer with the fewest UNKNOWN counts.
  // An identifier that is not UTF-8 is INVALID, as each of another wrong form; a purpose or case that is not: kInvalidArgument.
  // kUnavailable: no address can be reached; kDeadlineExceeded: none of those that were asked within `timeout`, all in all, answered; a
  // refusal of the hub is an answer: nobody else is asked.
  Result<v1::LookupResponse> Get(const v1::LookupRequest& request,
                                 std::chrono::milliseconds timeout = std::chrono::milliseconds(200)) const;
  // Of a replica: how old its data is; nullopt: nothing is complete yet. Of remote ones: nullopt, each answer says it (complete_until).
  std::optional<std::chrono::milliseconds> age() const;
  // Of a replica: its counters in Prometheus' text format, as hub-edge shows them (fraudhub_edge_...), for your /metrics. Else empty.
  std::string Metrics() const;

 private:
  struct Impl;
  explicit Lookup(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace fraudhub

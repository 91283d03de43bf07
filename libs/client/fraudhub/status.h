// How a call ended. A plain value.
//
//   if (const fraudhub::Status kept = reporter->Add(report); !kept.ok()) log(kept.ToString());
#pragma once

#include <chrono>
#include <string>

namespace fraudhub {

namespace v1 {
enum ErrorReason : int;  // fraudhub/v1/errors.pb.h
}

// gRPC's canonical codes, by their numbers.
enum class Code : int {
  kOk = 0,
  kCancelled = 1,
  kUnknown = 2,
  kInvalidArgument = 3,  // as it is, it will never be taken
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,   // a quota, a bound, a disk: later
  kFailedPrecondition = 9,  // not in this state
  kAborted = 10,
  kOutOfRange = 11,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,  // nobody can be reached: later, or elsewhere
  kDataLoss = 15,     // files are damaged
  kUnauthenticated = 16,
};
std::string Name(Code code);  // "INVALID_ARGUMENT"

struct [[nodiscard]] Status {
  Code code = Code::kOk;
  std::string message{};  // a sentence for a person, in the hub's words or ours; never an identifier
  // The next three are what the hub says besides; each may be missing.
  v1::ErrorReason reason{};                  // zero (ERROR_REASON_UNSPECIFIED): none
  std::string field{};                       // path from the request's root: "identifiers[3].value"
  std::chrono::milliseconds retry_after{0};  // not before; zero: whenever you like

  bool ok() const { return code == Code::kOk; }
  std::string ToString() const;  // "INVALID_ARGUMENT: TOO_SHORT: identifiers[3].value: want ten digits"
};

}  // namespace fraudhub

#include "services/hubctl/failure.h"

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "libs/model/refusal.h"

namespace hub::hubctl {
namespace {
constexpr char kUsagePayload[] = "fraudhub/hubctl/usage";
constexpr char kServerPayload[] = "fraudhub/hubctl/server";
}  // namespace

absl::Status Usage(absl::string_view message) {
  absl::Status status = absl::InvalidArgumentError(message);
  status.SetPayload(kUsagePayload, absl::Cord());
  return status;
}

ExitCode ExitCodeFor(const absl::Status& status) {
  if (status.GetPayload(kUsagePayload).has_value()) return kUsage;
  switch (status.code()) {
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kResourceExhausted:
      return kNotAllowed;
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
      return kUnreachable;
    default:
      return kFailed;
  }
}

absl::Status At(absl::string_view server, absl::Status status) {
  if (!status.ok()) status.SetPayload(kServerPayload, absl::Cord(server));
  return status;
}

std::string Describe(const absl::Status& status, absl::string_view asked) {
  const absl::optional<absl::Cord> told = status.GetPayload(kServerPayload);
  const std::string server = told.has_value() ? std::string(*told) : std::string(asked);
  if (const auto refusal = model::RefusalOf(status)) {
    std::string text = absl::StrCat(model::Name(refusal->code), ": ", refusal->message);
    if (!refusal->field.empty()) absl::StrAppend(&text, " (", refusal->field, ")");
    if (refusal->code == model::RefusalCode::kAmbiguousIdentifier) absl::StrAppend(&text, "; write it as TYPE:VALUE");
    return text;
  }
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
      return absl::StrCat(server, " can't be reached: ", status.message());
    case absl::StatusCode::kDeadlineExceeded:
      return absl::StrCat(server, " did not answer in time (--timeout)");
    case absl::StatusCode::kUnimplemented:
      if (!status.message().empty()) return absl::StrCat(server, ": ", status.message());
      return absl::StrCat(server, " doesn't offer this; in a cluster, see --stream-server and --query-server");
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kUnauthenticated:
      return absl::StrCat("not allowed: ", status.message());
    default:
      return std::string(status.message());
  }
}

}  // namespace hub::hubctl

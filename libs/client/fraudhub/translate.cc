#include "fraudhub/translate.h"

#include <algorithm>
#include <optional>
#include <string>

#include "absl/synchronization/mutex.h"
#include "fraudhub/v1/errors.pb.h"
#include "libs/model/refusal.h"
#include "libs/rpc/status.h"

namespace hub::client {

fraudhub::Status Translate(const absl::Status& status) {
  fraudhub::Status told;
  told.code = static_cast<fraudhub::Code>(status.code());
  told.message = std::string(status.message());
  if (const std::optional<model::Refusal> refusal = model::RefusalOf(status); refusal.has_value()) {
    told.message = refusal->message;
    told.reason = static_cast<::fraudhub::v1::ErrorReason>(refusal->code);
    told.field = refusal->field;
  }
  told.retry_after = Translate(rpc::RetryAfterOf(status));
  return told;
}

ConnectionOptions Translate(const fraudhub::Connection& connection) {
  return {connection.server, connection.identity_dir, connection.server_name};
}

std::chrono::milliseconds Translate(absl::Duration duration) {
  constexpr absl::Duration kYear = absl::Hours(24 * 365);
  return absl::ToChronoMilliseconds(absl::Ceil(std::min(duration, kYear), absl::Milliseconds(1)));
}

void PrepareProcess() { absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore); }

}  // namespace hub::client

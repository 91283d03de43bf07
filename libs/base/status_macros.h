// HUB_RETURN_IF_ERROR(expr) and HUB_ASSIGN_OR_RETURN(lhs, expr): hand a failed absl::Status to the caller.
//
//   HUB_ASSIGN_OR_RETURN(auto identifier, model::Canonicalise(type, raw));
//   HUB_RETURN_IF_ERROR(database->Commit(batch));
#pragma once

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace hub::base {

// The same code with "context: " in front of the message; payloads are kept. OK stays OK.
absl::Status Annotate(const absl::Status& status, absl::string_view context);

}  // namespace hub::base

#define HUB_RETURN_IF_ERROR(expr)                         \
  do {                                                    \
    if (absl::Status hub_status_ = (expr); !hub_status_.ok()) return hub_status_; \
  } while (false)

#define HUB_STATUS_CONCAT_INNER_(a, b) a##b
#define HUB_STATUS_CONCAT_(a, b) HUB_STATUS_CONCAT_INNER_(a, b)
#define HUB_ASSIGN_OR_RETURN(lhs, expr) \
  HUB_ASSIGN_OR_RETURN_IMPL_(HUB_STATUS_CONCAT_(hub_statusor_, __LINE__), lhs, expr)
#define HUB_ASSIGN_OR_RETURN_IMPL_(statusor, lhs, expr) \
  auto statusor = (expr);                               \
  if (!statusor.ok()) return std::move(statusor).status(); \
  lhs = std::move(statusor).value()

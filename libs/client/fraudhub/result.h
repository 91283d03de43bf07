// A value, or the Status that says why there is none.
//
//   fraudhub::Result<fraudhub::Lookup> lookup = fraudhub::Lookup::Create({.server = "localhost:7446"});
//   if (!lookup.ok()) return lookup.status();
//   lookup->Get(request);
//
// To ask for a value that is not there ends the process with the status on standard error.
#pragma once

#include <optional>
#include <utility>

#include "fraudhub/status.h"

namespace fraudhub {

[[noreturn]] void EndWithoutValue(const Status& status);

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}  // NOLINT(google-explicit-constructor): to return either
  // REQUIRES: not OK.
  Result(Status status) : status_(std::move(status)) {  // NOLINT(google-explicit-constructor)
    if (status_.ok()) EndWithoutValue(status_);
  }

  bool ok() const { return value_.has_value(); }
  const Status& status() const& { return status_; }
  Status status() && { return std::move(status_); }

  // REQUIRES: ok().
  T& value() & { return Checked(); }
  const T& value() const& { return Checked(); }
  T&& value() && { return std::move(Checked()); }
  T& operator*() & { return Checked(); }
  const T& operator*() const& { return Checked(); }
  T&& operator*() && { return std::move(Checked()); }
  T* operator->() { return &Checked(); }
  const T* operator->() const { return &Checked(); }

 private:
  T& Checked() {
    if (!value_.has_value()) EndWithoutValue(status_);
    return *value_;
  }
  const T& Checked() const {
    if (!value_.has_value()) EndWithoutValue(status_);
    return *value_;
  }

  Status status_;
  std::optional<T> value_;
};

}  // namespace fraudhub

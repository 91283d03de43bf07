// Structured log: an event name and key=value fields, one line each, to standard error.
//
//   HUB_LOG(INFO, "stream_opened", {{"stakeholder", id}, {"partitions", 4}});
// prints  2026-01-02T03:04:05.678Z INFO stream_opened stakeholder=bank-01 partitions=4
//
// Levels: ERROR (someone must act), WARN (degraded), INFO (life-cycle), DEBUG. Never a plain identifier: print its token.
// Thread safety: any thread. HUB_LOG_EVERY(seconds, ...) prints at most one line per interval and place in the code, and
// says how many were left out.
#pragma once

#include <atomic>
#include <initializer_list>
#include <string>
#include <type_traits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace hub::base {

enum class LogLevel { DEBUG, INFO, WARN, ERROR };

struct LogField {
  // Values: strings, integers, floating point and bool, as absl::AlphaNum takes them.
  LogField(absl::string_view k, const absl::AlphaNum& v) : key(k), value(v.Piece()) {}
  // Exactly bool: an integer must not become one on the way.
  template <class Bool>
    requires std::is_same_v<Bool, bool>
  LogField(absl::string_view k, Bool v) : key(k), value(v ? "true" : "false") {}
  LogField(absl::string_view k, const std::string& v) : key(k), value(v) {}
  LogField(absl::string_view k, const char* v) : key(k), value(v) {}
  absl::string_view key;
  std::string value;
};

void SetLogLevel(LogLevel least);
// "debug", "info", "warn", "error"; false when it is none of them.
bool SetLogLevel(absl::string_view name);
bool LogEnabled(LogLevel level);
void Log(LogLevel level, absl::string_view event, std::initializer_list<LogField> fields = {});

// One per HUB_LOG_EVERY site.
class LogLimiter {
 public:
  // True when a line may be printed now; `*suppressed` is then how many were not since the last one.
  bool Allow(absl::Duration interval, int64_t* suppressed);

 private:
  std::atomic<int64_t> next_nanos_{0};  // relaxed: two lines in a close race do no harm
  std::atomic<int64_t> suppressed_{0};
};

}  // namespace hub::base

#define HUB_LOG(level, event, ...)                                              \
  do {                                                                          \
    if (::hub::base::LogEnabled(::hub::base::LogLevel::level)) {                \
      ::hub::base::Log(::hub::base::LogLevel::level, event, ##__VA_ARGS__);     \
    }                                                                           \
  } while (false)

#define HUB_LOG_EVERY(seconds, level, event, ...)                                          \
  do {                                                                                     \
    static ::hub::base::LogLimiter hub_limiter_;                                           \
    int64_t hub_suppressed_ = 0;                                                           \
    if (::hub::base::LogEnabled(::hub::base::LogLevel::level) &&                           \
        hub_limiter_.Allow(absl::Seconds(seconds), &hub_suppressed_)) {                    \
      ::hub::base::Log(::hub::base::LogLevel::level, event, ##__VA_ARGS__);                \
      if (hub_suppressed_ > 0) {                                                           \
        ::hub::base::Log(::hub::base::LogLevel::level, "lines_left_out",                   \
                         {{"event", event}, {"count", hub_suppressed_}});                  \
      }                                                                                    \
    }                                                                                      \
  } while (false)

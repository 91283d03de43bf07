#include "libs/base/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <memory>

namespace hub::base {
namespace {

spdlog::logger& Logger() {
  static spdlog::logger* const logger = [] {
    auto* made = new spdlog::logger("hub", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %v", spdlog::pattern_time_type::utc);
    made->set_level(spdlog::level::info);
    made->flush_on(spdlog::level::debug);
    return made;
  }();
  return *logger;
}

spdlog::level::level_enum ToSpdlog(LogLevel level) {
  switch (level) {
    case LogLevel::DEBUG: return spdlog::level::debug;
    case LogLevel::INFO: return spdlog::level::info;
    case LogLevel::WARN: return spdlog::level::warn;
    case LogLevel::ERROR: return spdlog::level::err;
  }
  return spdlog::level::info;
}

absl::string_view Name(LogLevel level) {
  switch (level) {
    case LogLevel::DEBUG: return "DEBUG";
    case LogLevel::INFO: return "INFO";
    case LogLevel::WARN: return "WARN";
    case LogLevel::ERROR: return "ERROR";
  }
  return "INFO";
}

// Values with white space, quotes or control characters are quoted, so that a line can't be forged.
void AppendValue(absl::string_view value, std::string* out) {
  bool plain = !value.empty();
  for (const char c : value) plain = plain && c > ' ' && c != '"' && c != '\\' && static_cast<unsigned char>(c) != 0x7f;
  if (plain) {
    absl::StrAppend(out, value);
    return;
  }
  out->push_back('"');
  for (const char c : value) {
    if (c == '"' || c == '\\') {
      out->push_back('\\');
      out->push_back(c);
    } else if (c == '\n') {
      absl::StrAppend(out, "\\n");
    } else if (static_cast<unsigned char>(c) < ' ' || static_cast<unsigned char>(c) == 0x7f) {
      absl::StrAppend(out, "\\x", absl::Hex(static_cast<unsigned char>(c), absl::kZeroPad2));
    } else {
      out->push_back(c);
    }
  }
  out->push_back('"');
}

}  // namespace

void SetLogLevel(LogLevel least) { Logger().set_level(ToSpdlog(least)); }

bool SetLogLevel(absl::string_view name) {
  if (name == "debug") SetLogLevel(LogLevel::DEBUG);
  else if (name == "info") SetLogLevel(LogLevel::INFO);
  else if (name == "warn") SetLogLevel(LogLevel::WARN);
  else if (name == "error") SetLogLevel(LogLevel::ERROR);
  else return false;
  return true;
}

bool LogEnabled(LogLevel level) { return Logger().should_log(ToSpdlog(level)); }

void Log(LogLevel level, absl::string_view event, std::initializer_list<LogField> fields) {
  std::string line = absl::StrCat(Name(level), " ", event);
  for (const LogField& field : fields) {
    absl::StrAppend(&line, " ", field.key, "=");
    AppendValue(field.value, &line);
  }
  Logger().log(ToSpdlog(level), spdlog::string_view_t(line.data(), line.size()));
}

bool LogLimiter::Allow(absl::Duration interval, int64_t* suppressed) {
  const int64_t now = std::chrono::steady_clock::now().time_since_epoch().count();
  int64_t next = next_nanos_.load(std::memory_order_relaxed);
  if (now < next ||
      !next_nanos_.compare_exchange_strong(next, now + absl::ToInt64Nanoseconds(interval), std::memory_order_relaxed)) {
    suppressed_.fetch_add(1, std::memory_order_relaxed);
    return false;
  }
  *suppressed = suppressed_.exchange(0, std::memory_order_relaxed);
  return true;
}

}  // namespace hub::base

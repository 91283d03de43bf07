// What the library writes to standard error: a line per event, "time LEVEL what key=value", never an identifier.
#pragma once

namespace fraudhub {

enum class LogLevel { kDebug, kInfo, kWarn, kError };

// From this level on, of the whole process; kInfo at first. Thread safety: any thread.
void SetLogLevel(LogLevel least);

}  // namespace fraudhub

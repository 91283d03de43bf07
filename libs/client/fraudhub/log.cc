#include "fraudhub/log.h"

#include "libs/base/log.h"

namespace fraudhub {

void SetLogLevel(LogLevel least) {
  switch (least) {
    case LogLevel::kDebug:
      return hub::base::SetLogLevel(hub::base::LogLevel::DEBUG);
    case LogLevel::kInfo:
      return hub::base::SetLogLevel(hub::base::LogLevel::INFO);
    case LogLevel::kWarn:
      return hub::base::SetLogLevel(hub::base::LogLevel::WARN);
    case LogLevel::kError:
      return hub::base::SetLogLevel(hub::base::LogLevel::ERROR);
  }
}

}  // namespace fraudhub

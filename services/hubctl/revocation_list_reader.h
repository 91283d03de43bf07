// The revocation list: {"payload":[{"n":"5551234567"}, ...]}, read as a stream: memory does not depend on its size.
//
// Members of an item whose key is asked for become fields, texts and numbers alike; others are skipped, nested ones too. An item
// without the first key, or that is no object, goes to the sink with its problem. What is no JSON ends the reading: what came
// before it has gone to the sink. Thread safety: one thread.
#pragma once

#include <istream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "services/hubctl/source_row.h"

namespace hub::hubctl {

inline constexpr size_t kJsonTokenBytesMax = 1 << 20;  // one text or stretch of blanks; longer ends the reading
inline constexpr int kJsonDepthMax = 32;

class RevocationListReader {
 public:
  // `keys` is not empty. `in` must outlive it.
  RevocationListReader(std::istream* in, std::vector<std::string> keys, BytesRead bytes_read)
      : in_(in), keys_(std::move(keys)), bytes_read_(bytes_read) {}
  // The sink's error, or InvalidArgument "line 3, column 17: ...".
  absl::Status ReadRows(const RowSink& sink);

 private:
  std::istream* const in_;
  const std::vector<std::string> keys_;
  const BytesRead bytes_read_;
};

}  // namespace hub::hubctl

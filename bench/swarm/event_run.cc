#include "bench/swarm/event_run.h"

#include <zstd.h>

#include <memory>

#include "bench/swarm/wire_scan.h"

namespace hub::swarm {
namespace {

constexpr unsigned long long kBytesMax = 4 << 20;  // as subscription.proto says

}  // namespace

EventRun::EventRun(absl::string_view bytes) {
  well_formed_ = ScanFields(bytes, [this](int field, uint64_t number, absl::string_view content) {
    if (field == 1) plain_ = content;
    if (field == 2) zstd_ = content;
    if (field == 3) events_ = number;
  });
}

bool EventRun::Unpack(std::string* buffer, absl::string_view* slices) const {
  *slices = plain_;
  if (!well_formed_ || zstd_.empty()) return well_formed_;
  const unsigned long long size = ZSTD_getFrameContentSize(zstd_.data(), zstd_.size());
  if (size > kBytesMax) return false;  // errors are greater than any size
  buffer->resize(size);
  *slices = *buffer;
  struct Free {
    void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
  };
  thread_local const std::unique_ptr<ZSTD_DCtx, Free> context(ZSTD_createDCtx());  // dear to make
  return ZSTD_decompressDCtx(context.get(), buffer->data(), size, zstd_.data(), zstd_.size()) == size;
}

}  // namespace hub::swarm

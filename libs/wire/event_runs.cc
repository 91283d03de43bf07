#include "libs/wire/event_runs.h"

#include <google/protobuf/io/coded_stream.h>
#include <zstd.h>

#include <memory>

#include "absl/strings/str_cat.h"
#include "fraudhub/v1/subscription.pb.h"
#include "libs/base/check.h"
#include "libs/base/status_macros.h"

namespace hub::wire {
namespace {

namespace api = ::fraudhub::v1;
using google::protobuf::io::CodedOutputStream;

// Level -1 leaves literals as they are: half of level 1's time for a few kilobytes, nearly all of it for many, which level 1 packs a tenth better (0070).
constexpr int kLevel = -1, kLevelOfMany = 1;
constexpr size_t kManyBytes = 8 * 1024;

uint32_t Tag(int field, int wire_type) { return static_cast<uint32_t>(field) << 3 | static_cast<uint32_t>(wire_type); }

void AppendRun(int content_field, absl::string_view content, int events, std::string* out) {
  const auto size = static_cast<uint32_t>(content.size());
  const auto count = static_cast<uint32_t>(events);
  // The fields of a run are below sixteen: a tag is one byte.
  const size_t length = 1 + CodedOutputStream::VarintSize32(count) + 1 + CodedOutputStream::VarintSize32(size) + size;
  uint8_t head[3 * 5 + 3];
  uint8_t* end = CodedOutputStream::WriteTagToArray(Tag(api::SubscribeResponse::kRunsFieldNumber, 2), head);
  end = CodedOutputStream::WriteVarint32ToArray(static_cast<uint32_t>(length), end);
  end = CodedOutputStream::WriteTagToArray(Tag(api::EventRun::kEventsFieldNumber, 0), end);
  end = CodedOutputStream::WriteVarint32ToArray(count, end);
  end = CodedOutputStream::WriteTagToArray(Tag(content_field, 2), end);
  end = CodedOutputStream::WriteVarint32ToArray(size, end);
  out->append(reinterpret_cast<const char*>(head), static_cast<size_t>(end - head));
  out->append(content.data(), content.size());
}

struct Free {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

absl::Status Damaged(absl::string_view what) { return absl::DataLossError(absl::StrCat("runs: ", what)); }

}  // namespace

void AppendPlainRun(absl::string_view slices, int events, std::string* out) {
  AppendRun(api::EventRun::kPlainFieldNumber, slices, events, out);
}

void AppendPackedRun(absl::string_view slices, int events, std::string* out) {
  if (slices.size() > kRunBytesMax) return AppendPlainRun(slices, events, out);
  // Of the thread, as is the buffer: both are dear to make.
  thread_local const std::unique_ptr<ZSTD_CCtx, Free> context(ZSTD_createCCtx());
  thread_local std::string frame;
  frame.resize(ZSTD_compressBound(slices.size()));
  const int level = slices.size() < kManyBytes ? kLevel : kLevelOfMany;
  const size_t size = ZSTD_compressCCtx(context.get(), frame.data(), frame.size(), slices.data(), slices.size(), level);
  HUB_CHECK(ZSTD_isError(size) == 0);
  AppendRun(api::EventRun::kZstdFieldNumber, absl::string_view(frame).substr(0, size), events, out);
}

absl::Status UnpackRun(absl::string_view zstd, std::string* slices) {
  const unsigned long long size = ZSTD_getFrameContentSize(zstd.data(), zstd.size());
  if (size == ZSTD_CONTENTSIZE_UNKNOWN || size == ZSTD_CONTENTSIZE_ERROR) return Damaged("a frame without a size");
  if (size > kRunBytesMax) return Damaged(absl::StrCat("a frame of ", size, " bytes, want at most ", kRunBytesMax));
  thread_local const std::unique_ptr<ZSTD_DCtx, Free> context(ZSTD_createDCtx());
  slices->resize(size);
  const size_t got = ZSTD_decompressDCtx(context.get(), slices->data(), slices->size(), zstd.data(), zstd.size());
  return ZSTD_isError(got) == 0 && got == size ? absl::OkStatus() : Damaged("a damaged frame");
}

absl::Status UnpackFramedRuns(absl::string_view runs, std::string* slices) {
  api::SubscribeResponse response;
  if (!response.ParseFromArray(runs.data(), static_cast<int>(runs.size()))) return Damaged("not runs");
  std::string unpacked;
  for (const api::EventRun& run : response.runs()) {
    if (run.has_zstd()) HUB_RETURN_IF_ERROR(UnpackRun(run.zstd(), &unpacked));
    slices->append(run.has_zstd() ? unpacked : run.plain());
  }
  return absl::OkStatus();
}

absl::Status UnpackRuns(api::SubscribeResponse* response) {
  if (response->runs().empty()) return absl::OkStatus();
  google::protobuf::RepeatedPtrField<api::EventRun> runs;
  runs.Swap(response->mutable_runs());
  api::SubscribeResponse events;
  std::string unpacked;
  size_t bytes = 0;
  for (const api::EventRun& run : runs) {
    if (run.has_zstd()) HUB_RETURN_IF_ERROR(UnpackRun(run.zstd(), &unpacked));
    bytes += run.has_zstd() ? unpacked.size() : run.plain().size();
    if (bytes > kRunsBytesMax) return Damaged(absl::StrCat("more than ", kRunsBytesMax, " bytes"));
    if (!events.ParseFromString(run.has_zstd() ? unpacked : run.plain())) return Damaged("not events");
    if (events.events_size() != static_cast<int>(run.events())) {
      return Damaged(absl::StrCat(events.events_size(), " events, want ", run.events()));
    }
    for (api::Event& event : *events.mutable_events()) response->add_events()->Swap(&event);
  }
  return absl::OkStatus();
}

}  // namespace hub::wire

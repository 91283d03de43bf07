#include "libs/wire/event_runs.h"

#include <zstd.h>  // tidy:third-party-ok the tests make frames that the hub would not

#include <string>

#include "absl/strings/str_cat.h"
#include "fraudhub/v1/subscription.pb.h"
#include "tests/catch.h"

namespace hub::wire {
namespace {

namespace api = ::fraudhub::v1;

std::string Slices(int first, int count) {
  api::SubscribeResponse response;
  for (int i = first; i < first + count; ++i) {
    api::Event* event = response.add_events();
    event->mutable_indicator()->set_indicator_id(absl::StrCat("indicator ", i));
    event->mutable_version()->set_version(static_cast<uint64_t>(i));
  }
  return response.SerializeAsString();
}

std::string Frame(const std::string& content) {
  std::string frame(ZSTD_compressBound(content.size()), '\0');
  frame.resize(ZSTD_compress(frame.data(), frame.size(), content.data(), content.size(), 1));
  return frame;
}

api::SubscribeResponse Of(const std::string& zstd, uint32_t events) {
  api::SubscribeResponse response;
  response.add_runs()->set_zstd(zstd);
  response.mutable_runs(0)->set_events(events);
  return response;
}

TEST_CASE("Runs are taken apart in their order, behind the events", "[wire][runs]") {
  std::string bytes = Slices(0, 2);
  AppendPackedRun(Slices(2, 16), 16, &bytes);
  AppendPlainRun(Slices(18, 3), 3, &bytes);
  AppendPackedRun(Slices(21, 4), 4, &bytes);
  const size_t packed = bytes.size();
  api::SubscribeResponse response;
  REQUIRE(response.ParseFromString(bytes));
  CHECK(response.runs_size() == 3);
  REQUIRE(UnpackRuns(&response).ok());
  CHECK(response.runs().empty());
  REQUIRE(response.events_size() == 25);
  for (int i = 0; i < 25; ++i) CHECK(response.events(i).version().version() == static_cast<uint64_t>(i));
  CHECK(response.SerializeAsString() == Slices(0, 25));
  CHECK(packed < Slices(0, 25).size());
}

TEST_CASE("A run that is damaged, too large or miscounted is refused", "[wire][runs]") {
  const std::string good = Frame(Slices(0, 8));
  api::SubscribeResponse response = Of(good, 8);
  REQUIRE(UnpackRuns(&response).ok());
  const auto refused = [](api::SubscribeResponse of) { return absl::IsDataLoss(UnpackRuns(&of)); };
  CHECK(refused(Of(good, 7)));
  CHECK(refused(Of(good.substr(0, good.size() - 1), 8)));
  CHECK(refused(Of("no frame", 8)));
  CHECK(refused(Of("", 8)));
  CHECK(refused(Of(Frame("not a message"), 1)));
  CHECK(refused(Of(Frame(std::string(kRunBytesMax + 1, '\0')), 0)));
  // A stream of unknown size: it could be anything.
  ZSTD_CCtx* context = ZSTD_createCCtx();
  std::string frame(1000, '\0');
  const std::string content = Slices(0, 8);
  ZSTD_outBuffer out{frame.data(), frame.size(), 0};
  ZSTD_inBuffer in{content.data(), content.size(), 0};
  while (ZSTD_compressStream2(context, &out, &in, ZSTD_e_flush) != 0) {
  }
  ZSTD_compressStream2(context, &out, &in, ZSTD_e_end);
  ZSTD_freeCCtx(context);
  CHECK(refused(Of(frame.substr(0, out.pos), 8)));
  // Each of them is allowed, all together are not.
  api::SubscribeResponse many;
  const std::string large = Frame(std::string(kRunBytesMax, '\x0a'));
  for (size_t i = 0; i <= kRunsBytesMax / kRunBytesMax; ++i) many.add_runs()->set_zstd(large);
  CHECK(refused(many));
}

}  // namespace
}  // namespace hub::wire

#include "services/hubctl/sample_files.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "libs/base/check.h"
#include "libs/base/status_macros.h"
#include "services/hubctl/when.h"

namespace hub::hubctl {
namespace {

constexpr double kBadShare = 0.001;

// Who sends what share of the rows; identities of deploy/config/policy.textproto. Law enforcement's files are small: its quota is.
struct DemoPart {
  const char* file;
  const char* identity;
  const char* layout;
  uint64_t percent;
};
constexpr DemoPart kParts[] = {
    {"ncrp-mh.csv", "police-mh/main", "ncrp", 7},           {"ncrp-dl.csv", "police-dl/main", "ncrp", 7},
    {"ncrp-centre.csv", "cyber-centre-01/main", "ncrp", 7}, {"chakshu-1.csv", "portal-01/main", "chakshu", 22},
    {"chakshu-2.csv", "portal-02/main", "chakshu", 20},     {"not-my-number.csv", "portal-03/main", "not-my-number", 6},
    {"handset.csv", "police-ka/main", "handset", 6},        {"bank-1.csv", "bank-psb-01/main", "bank", 6},
    {"bank-2.csv", "bank-pvt-01/main", "bank", 6},          {"bank-3.csv", "bank-coop-01/main", "bank", 5},
    {"operator-1.csv", "tsp-01/main", "operator", 4},       {"operator-2.csv", "tsp-02/main", "operator", 4},
};

absl::Status Write(const std::filesystem::path& path, const std::function<void(std::ostream*)>& fill) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  if (file) fill(&file);
  file.close();
  return file ? absl::OkStatus() : absl::InternalError(absl::StrCat(path.string(), ": can't be written"));
}

}  // namespace

void WriteSampleCsv(const SampleLayout& layout, SampleSource* source, uint64_t rows, std::ostream* out) {
  *out << layout.header << '\n';
  for (uint64_t row = 1; row <= rows; ++row) *out << layout.row(source, row) << '\n';
}

void WriteSampleRevocationList(uint64_t rows, uint64_t seed, std::ostream* out) {
  const uint64_t first = SampleRandom(seed).Below(kSampleNumbers);
  *out << "{\"payload\":[";
  for (uint64_t row = 0; row < rows; ++row)
    *out << (row == 0 ? "\n" : ",\n") << "{\"n\":\"" << SampleNumber(first + row) << "\"}";
  *out << "\n]}\n";
}

absl::Status WriteDemo(const std::string& folder, uint64_t rows, uint64_t seed, absl::Time now) {
  const std::filesystem::path path(folder);
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return absl::InternalError(absl::StrCat(folder, ": can't be made: ", error.message()));
  // Whole days: the same seed gives the same files until midnight.
  const absl::Time today = absl::FromCivil(absl::ToCivilDay(now, IndianTime()), IndianTime());
  std::string manifest;
  uint64_t percent = 0, written = 0;
  for (const DemoPart& part : kParts) {
    const SampleLayout* layout = FindSampleLayout(part.layout);
    HUB_CHECK(layout != nullptr);
    SampleSource source{SampleRandom(seed * 1000 + percent), today, std::max<uint64_t>(rows / 4, 20), kBadShare,
                        "tsp-01"};
    if (absl::string_view(part.identity) == "tsp-02/main") source.operator_id = "tsp-02";
    percent += part.percent;
    const uint64_t upto = rows * percent / 100;
    HUB_RETURN_IF_ERROR(
        Write(path / part.file, [&](std::ostream* out) { WriteSampleCsv(*layout, &source, upto - written, out); }));
    written = upto;
    const std::string map = absl::StrCat(part.layout, ".map");
    HUB_RETURN_IF_ERROR(Write(path / map, [&](std::ostream* out) { *out << layout->map; }));
    absl::StrAppend(&manifest, part.file, " ", part.identity, " ", map, "\n");
  }
  HUB_CHECK(percent == 100);
  HUB_RETURN_IF_ERROR(Write(path / "manifest.txt", [&](std::ostream* out) { *out << manifest; }));
  // The first row of every police file.
  return Write(path / "very_high.txt", [](std::ostream* out) { *out << "MOBILE:" << SampleNumber(0) << '\n'; });
}

}  // namespace hub::hubctl

// The texts of an evidence bundle that people read: what is in it, the timeline, the draft certificate. Plain functions; all times are
// Indian Standard Time, as a court wants them.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "services/hubctl/evidence_records.h"

namespace hub::hubctl {

// About the export itself.
struct ExportFacts {
  std::string identifier;  // canonical where the hub knows it: "MOBILE:+915551234567"
  std::string case_ref;
  std::string purpose;
  std::string server;
  std::string program;  // "hubctl 0.1.0"
  absl::Time exported_at;
};

std::string TimelineText(const ExportFacts& facts, const EvidenceRecords& records);
std::string ReadmeText(const ExportFacts& facts, const EvidenceRecords& records);
// The same as ReadmeText for programs: one JSON object.
std::string ExportJson(const ExportFacts& facts, const EvidenceRecords& records);
// A draft after the Schedule to the Bharatiya Sakshya Adhiniyam, 2023, section 63(4), Part A or B; `hashes`: path and SHA-256 of each record.
std::string CertificateText(char part, const ExportFacts& facts,
                            const std::vector<std::pair<std::string, std::string>>& hashes);

}  // namespace hub::hubctl

// An evidence bundle: a tar archive of plain files in one folder, evidence/, the first of them MANIFEST.sha256 with the SHA-256 of every
// other. The manifest is what sha256sum(1) reads, so who has nothing but tar and sha256sum can find out whether a file was altered or is
// missing; that none was added only CheckBundle tells.
//
// What a check proves: every file is as it was when the manifest was made, and there is no other. Whoever changes a file and the manifest alike is found out by
// the manifest's own hash only: it belongs on paper, away from the bundle.
// Thread safety: plain functions.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace hub::hubctl {

constexpr char kManifestName[] = "MANIFEST.sha256";

struct BundleFile {
  std::string path;  // inside the folder: "records/state.pb"; at most 200 bytes, ASCII
  std::string bytes;
};

// Writes a new file that only its owner may read; durable when it returns, its name too. The manifest's SHA-256, hexadecimal. AlreadyExists: evidence is
// never written over. REQUIRES: paths differ and none is the manifest's.
absl::StatusOr<std::string> WriteBundle(const std::string& path, std::vector<BundleFile> files, absl::Time made_at);

enum class FileState { kIntact, kAltered, kMissing, kAdded, kRepeated, kNotAFile };

struct BundleCheck {
  struct File {
    std::string path;
    FileState state;
  };
  // In the archive's order, then what is missing.
  std::vector<File> files;
  // What is wrong with the archive as a whole: cut short, damaged, no manifest, more bytes than files.
  std::vector<std::string> problems;
  std::string manifest_sha256;  // empty: there is none

  bool intact() const;
};

// NotFound: the file can't be read. Everything that is wrong with one that can is in the check.
absl::StatusOr<BundleCheck> CheckBundle(const std::string& path);

std::string HexSha256(absl::string_view bytes);

}  // namespace hub::hubctl

#include "services/hubctl/evidence_bundle.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <memory>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "libs/base/descriptor.h"
#include "libs/base/hash.h"
#include "libs/base/status_macros.h"

namespace hub::hubctl {
namespace {

constexpr char kFolder[] = "evidence/";
constexpr size_t kReadBytes = 64 << 10;
// Of tar: everything is in blocks of it, and two empty ones end an archive.
constexpr int64_t kBlock = 512;
constexpr size_t kHexDigits = 64;
// A file beyond it is none of ours: the check says so and reads no further.
constexpr int64_t kFileBytesMax = int64_t{512} << 20;

struct FreeWriter {
  void operator()(archive* a) const { archive_write_free(a); }
};
struct FreeReader {
  void operator()(archive* a) const { archive_read_free(a); }
};
struct FreeEntry {
  void operator()(archive_entry* e) const { archive_entry_free(e); }
};

absl::Status CantWrite(const std::string& path, const char* why) {
  return absl::InternalError(absl::StrCat(path, ": can't be written: ", why == nullptr ? "no reason given" : why));
}

absl::Status WriteFile(archive* out, const BundleFile& file, absl::Time made_at, const std::string& path) {
  const std::unique_ptr<archive_entry, FreeEntry> entry(archive_entry_new());
  archive_entry_set_pathname(entry.get(), absl::StrCat(kFolder, file.path).c_str());
  archive_entry_set_filetype(entry.get(), AE_IFREG);
  archive_entry_set_perm(entry.get(), 0440);
  archive_entry_set_size(entry.get(), static_cast<int64_t>(file.bytes.size()));
  archive_entry_set_mtime(entry.get(), absl::ToUnixSeconds(made_at), 0);
  if (archive_write_header(out, entry.get()) != ARCHIVE_OK) return CantWrite(path, archive_error_string(out));
  const auto written = archive_write_data(out, file.bytes.data(), file.bytes.size());
  if (written != static_cast<la_ssize_t>(file.bytes.size())) return CantWrite(path, archive_error_string(out));
  return absl::OkStatus();
}

absl::Status WriteAll(int fd, const std::vector<BundleFile>& files, absl::Time made_at, const std::string& path) {
  const std::unique_ptr<archive, FreeWriter> out(archive_write_new());
  archive_write_set_format_ustar(out.get());
  archive_write_set_bytes_in_last_block(out.get(), 1);  // no padding: a check knows how long the archive must be
  if (archive_write_open_fd(out.get(), fd) != ARCHIVE_OK) return CantWrite(path, archive_error_string(out.get()));
  for (const BundleFile& file : files) HUB_RETURN_IF_ERROR(WriteFile(out.get(), file, made_at, path));
  if (archive_write_close(out.get()) != ARCHIVE_OK) return CantWrite(path, archive_error_string(out.get()));
  return absl::OkStatus();
}

// The folder that names the file: until it is on the disk a power cut can take the name, and the file with it.
bool SyncFolderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  base::Descriptor fd(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.get() < 0 && errno == EACCES) return true;  // one may put files there, no more
  // EINVAL: a file system that has no such thing.
  return fd.get() >= 0 && (fsync(fd.get()) == 0 || errno == EINVAL);
}

std::string ManifestOf(const std::vector<BundleFile>& files) {
  std::string manifest;
  for (const BundleFile& file : files) absl::StrAppend(&manifest, HexSha256(file.bytes), "  ", file.path, "\n");
  return manifest;
}

// Path to hash; an empty map when the text is no manifest.
std::map<std::string, std::string> ParseManifest(absl::string_view text) {
  std::map<std::string, std::string> hashes;
  for (const absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    if (line.size() < kHexDigits + 3 || line.substr(kHexDigits, 2) != "  ") return {};
    const bool fresh =
        hashes.try_emplace(std::string(line.substr(kHexDigits + 2)), std::string(line.substr(0, kHexDigits))).second;
    if (!fresh) return {};
  }
  return hashes;
}

class Checker {
 public:
  Checker(archive* in, int64_t archive_bytes) : in_(in), archive_bytes_(archive_bytes) {}

  BundleCheck Run() {
    bool reading = true;
    while (reading && Next()) reading = Take();
    // Once something is wrong its length says nothing more.
    if (check_.problems.empty() && !foreign_ && archive_bytes_ != expected_bytes_) {
      check_.problems.push_back(archive_bytes_ > expected_bytes_ ? "there is more in it than its files"
                                                                 : "its end is missing");
    }
    if (check_.manifest_sha256.empty()) check_.problems.push_back("it has no manifest");
    for (const auto& [path, hash] : hashes_) check_.files.push_back({path, FileState::kMissing});
    return std::move(check_);
  }

 private:
  // To the next entry; false at the end, whichever it is.
  bool Next() {
    const int result = archive_read_next_header(in_, &entry_);
    if (result == ARCHIVE_OK || result == ARCHIVE_WARN) return true;
    if (result != ARCHIVE_EOF) Damaged();
    return false;
  }

  void Damaged() {
    const char* why = archive_error_string(in_);
    check_.problems.push_back(absl::StrCat("it is cut short or damaged: ", why == nullptr ? "unreadable" : why));
  }

  // False: no use in reading on.
  bool Take() {
    const char* name = archive_entry_pathname(entry_);
    absl::string_view path = name == nullptr ? "" : name;
    const bool ours = absl::ConsumePrefix(&path, kFolder) && !path.empty();
    const int64_t size = archive_entry_size(entry_);
    if (!ours || archive_entry_filetype(entry_) != AE_IFREG || archive_entry_hardlink(entry_) != nullptr) {
      foreign_ = true;
      check_.files.push_back({std::string(path), FileState::kNotAFile});
      return true;
    }
    if (size < 0 || size > std::min(kFileBytesMax, archive_bytes_)) {
      check_.problems.push_back("a file in it claims to be larger than any that is exported");
      return false;
    }
    std::string bytes(static_cast<size_t>(size), '\0');
    if (!Read(&bytes)) return false;
    expected_bytes_ += kBlock + (size + kBlock - 1) / kBlock * kBlock;
    Compare(std::string(path), bytes);
    return true;
  }

  bool Read(std::string* bytes) {
    size_t have = 0;
    while (have < bytes->size()) {
      const la_ssize_t got = archive_read_data(in_, bytes->data() + have, bytes->size() - have);
      if (got <= 0) {
        Damaged();
        return false;
      }
      have += static_cast<size_t>(got);
    }
    return true;
  }

  void Compare(const std::string& path, const std::string& bytes) {
    if (check_.manifest_sha256.empty() && path == kManifestName) {
      hashes_ = ParseManifest(bytes);
      check_.manifest_sha256 = HexSha256(bytes);
      if (hashes_.empty()) check_.problems.push_back("its manifest can't be read");
      return;
    }
    const auto known = hashes_.find(path);
    if (known == hashes_.end()) {
      const bool repeated = path == kManifestName || std::any_of(check_.files.begin(), check_.files.end(),
                                                                 [&](const auto& file) { return file.path == path; });
      check_.files.push_back({path, repeated ? FileState::kRepeated : FileState::kAdded});
      return;
    }
    check_.files.push_back({path, known->second == HexSha256(bytes) ? FileState::kIntact : FileState::kAltered});
    hashes_.erase(known);
  }

  archive* const in_;
  const int64_t archive_bytes_;
  archive_entry* entry_ = nullptr;
  BundleCheck check_;
  std::map<std::string, std::string> hashes_;  // of the manifest, less what was seen
  int64_t expected_bytes_ = 2 * kBlock;        // of an archive of the files so far
  bool foreign_ = false;                       // has entries that are none of ours
};

}  // namespace

std::string HexSha256(absl::string_view bytes) {
  const base::Digest digest = base::Sha256(bytes);
  return absl::BytesToHexString(absl::string_view(reinterpret_cast<const char*>(digest.data()), digest.size()));
}

absl::StatusOr<std::string> WriteBundle(const std::string& path, std::vector<BundleFile> files, absl::Time made_at) {
  std::sort(files.begin(), files.end(), [](const BundleFile& a, const BundleFile& b) { return a.path < b.path; });
  std::string manifest = ManifestOf(files);
  std::string hash = HexSha256(manifest);
  files.insert(files.begin(), {kManifestName, std::move(manifest)});
  base::Descriptor fd(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (fd.get() < 0) {
    if (errno == EEXIST) return absl::AlreadyExistsError(absl::StrCat(path, ": exists; evidence is not written over"));
    return CantWrite(path, std::strerror(errno));
  }
  absl::Status status = WriteAll(fd.get(), files, made_at, path);
  if (status.ok() && (fsync(fd.get()) != 0 || !fd.Close())) status = CantWrite(path, std::strerror(errno));
  if (status.ok() && !SyncFolderOf(path)) status = CantWrite(path, std::strerror(errno));
  if (!status.ok()) {
    unlink(path.c_str());
    return status;
  }
  return hash;
}

bool BundleCheck::intact() const {
  return problems.empty() && !files.empty() &&
         std::all_of(files.begin(), files.end(), [](const File& file) { return file.state == FileState::kIntact; });
}

absl::StatusOr<BundleCheck> CheckBundle(const std::string& path) {
  const base::Descriptor fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat about {};
  if (fd.get() < 0 || fstat(fd.get(), &about) != 0 || !S_ISREG(about.st_mode))
    return absl::NotFoundError(absl::StrCat(path, ": can't be read"));
  const std::unique_ptr<archive, FreeReader> in(archive_read_new());
  archive_read_support_format_tar(in.get());  // and nothing else: no compression, no other formats
  if (archive_read_open_fd(in.get(), fd.get(), kReadBytes) != ARCHIVE_OK) {
    BundleCheck none;
    none.problems.push_back("it is no bundle");
    return none;
  }
  return Checker(in.get(), about.st_size).Run();
}

}  // namespace hub::hubctl

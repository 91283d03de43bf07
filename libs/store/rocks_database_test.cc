// What only the database on disk has: reopening, locks, damage, a full disk.
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/hash.h"
#include "libs/store/database.h"
#include "libs/store/temp_dir.h"
#include "tests/catch.h"
#include "tests/eventually.h"

namespace hub::store {
namespace {

std::unique_ptr<Database> Open(const std::string& path, const std::vector<TableSpec>& tables = {{"t"}, {"other"}}) {
  DatabaseOptions options;
  options.write_buffer_bytes = size_t{1} << 20;
  auto opened = OpenDatabase(path, tables, options);
  INFO(opened.status());
  REQUIRE(opened.ok());
  return std::move(opened).value();
}

absl::Status Put(Database* database, absl::string_view key, absl::string_view value,
                 Durability durability = Durability::kSynced) {
  Batch batch;
  batch.Put(0, key, value);
  return database->Commit(batch, durability);
}

// Runs a hidden case of this binary in a process of its own, which kills itself; it finds its folder in HUB_TEST_FOLDER.
void RunAndDie(const char* hidden_case, const std::string& folder) {
  setenv("HUB_TEST_FOLDER", folder.c_str(), 1);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    execl("/proc/self/exe", "hub_store_test", hidden_case, nullptr);
    _exit(9);
  }
  int exit_status = 0;
  REQUIRE(waitpid(child, &exit_status, 0) == child);
  REQUIRE(WIFSIGNALED(exit_status));
  REQUIRE(WTERMSIG(exit_status) == SIGKILL);
}

std::string FolderOfChild() {
  const char* folder = getenv("HUB_TEST_FOLDER");
  REQUIRE(folder != nullptr);
  return folder;
}

TEST_CASE("what was committed is there after reopening", "[store][rocksdb]") {
  TempDir folder;
  const std::string path = folder.path() + "/deep/er";
  {
    const auto db = Open(path);
    REQUIRE(Put(db.get(), "a", "1").ok());
    REQUIRE(Put(db.get(), "b", "2", Durability::kBuffered).ok());
  }
  const auto db = Open(path);
  CHECK(db->Get(0, "a").value() == "1");
  CHECK(db->Get(0, "b").value() == "2");
}

TEST_CASE("commits synced, then dies", "[.dies-after-commits]") {
  const auto db = Open(FolderOfChild());
  for (int i = 0; i < 100; ++i) REQUIRE(Put(db.get(), absl::StrCat("k", i), std::string(1000, 'x')).ok());
  REQUIRE(Put(db.get(), "last", "buffered", Durability::kBuffered).ok());
  kill(getpid(), SIGKILL);
}

TEST_CASE("commits survive a process that dies without closing", "[store][rocksdb][crash]") {
  TempDir folder;
  RunAndDie("[.dies-after-commits]", folder.path());
  const auto reopened = Open(folder.path());
  for (int i = 0; i < 100; ++i) CHECK(reopened->Get(0, absl::StrCat("k", i)).value().has_value());
  CHECK(reopened->Get(0, "last").value() == "buffered");  // buffered is safe from this, not from a power loss
}

TEST_CASE("tables are found by name, new ones are made and unknown ones kept", "[store][rocksdb]") {
  TempDir folder;
  { REQUIRE(Put(Open(folder.path(), {{"first"}, {"second"}}).get(), "k", "of first").ok()); }
  {
    const auto db = Open(folder.path(), {{"third", TableShape::kScans}, {"second"}});
    CHECK(db->Get(0, "k").value() == std::nullopt);
  }
  const auto db = Open(folder.path(), {{"third", TableShape::kScans}, {"first"}});
  CHECK(db->Get(1, "k").value() == "of first");
}

TEST_CASE("buffers of many tables are written out long before each is full", "[store][rocksdb]") {
  TempDir folder;
  std::vector<TableSpec> tables;
  for (char name = 'a'; name < 'k'; ++name) tables.push_back({std::string(1, name)});
  DatabaseOptions options;
  options.write_buffers_bytes = size_t{32} << 20;
  auto database = OpenDatabase(folder.path() + "/db", tables, options);
  REQUIRE(database.ok());
  const auto files = [&] {
    const std::filesystem::directory_iterator all(folder.path() + "/db");
    return std::count_if(begin(all), end(all), [](const auto& file) { return file.path().extension() == ".sst"; });
  };
  const std::string value = base::RandomBytes(10'000);
  int rows = 0;
  const auto put_in_each = [&] {
    Batch batch;
    for (TableId table = 0; table < 10; ++table) batch.Put(table, absl::StrCat(rows), value);
    ++rows;
    REQUIRE((*database)->Commit(batch, Durability::kBuffered).ok());
  };
  while (rows < 40) put_in_each();  // 4 MB in all, and what buffers take in advance
  CHECK(files() == 0);
  while (rows < 600) put_in_each();  // 60 MB, of each table 6 of its 32
  // In the background, which may have to wait for a processor; what was not begun when a database is closed stays in its log.
  CHECK(Eventually([&] { return files() >= 5; }));
  database->reset();
  database = OpenDatabase(folder.path() + "/db", tables, options);
  REQUIRE(database.ok());
  for (TableId table = 0; table < 10; ++table) {
    for (const int row : {0, 300, 599}) CHECK(*(*database)->Get(table, absl::StrCat(row)) == value);
  }
}

TEST_CASE("a folder that is open elsewhere is refused", "[store][rocksdb]") {
  TempDir folder;
  const auto db = Open(folder.path());
  CHECK(absl::IsFailedPrecondition(OpenDatabase(folder.path(), {{"t"}}, {}).status()));
}

TEST_CASE("a folder that another process has open is refused", "[store][rocksdb]") {
  TempDir folder;
  { Open(folder.path()); }
  // The other process: it holds the kernel's lock on LOCK, as RocksDB does there, until its pipe is closed.
  int held[2], release[2];
  REQUIRE(pipe(held) == 0);
  REQUIRE(pipe(release) == 0);
  const std::string lock_file = folder.path() + "/LOCK";
  const pid_t other = fork();
  REQUIRE(other >= 0);
  if (other == 0) {
    close(release[1]);
    const int fd = open(lock_file.c_str(), O_RDWR);
    struct flock whole = {};
    whole.l_type = F_WRLCK;
    char byte = fcntl(fd, F_SETLK, &whole) == 0 ? 'y' : 'n';
    if (write(held[1], &byte, 1) == 1) byte = static_cast<char>(read(release[0], &byte, 1));
    _exit(0);
  }
  char locked = 'n';
  REQUIRE(read(held[0], &locked, 1) == 1);
  CHECK(locked == 'y');
  const absl::Status refused = OpenDatabase(folder.path(), {{"t"}, {"other"}}, {}).status();
  INFO(refused);
  CHECK(absl::IsFailedPrecondition(refused));
  for (const int fd : {held[0], held[1], release[0], release[1]}) close(fd);
  REQUIRE(waitpid(other, nullptr, 0) == other);
  Open(folder.path());
}

TEST_CASE("damage to stored bytes is DataLoss, not a wrong answer", "[store][rocksdb]") {
  TempDir folder;
  {
    const auto db = Open(folder.path());
    // More than a write buffer, so that some of it is in table files. Random bytes: compressed ones would not fill it.
    for (int i = 0; i < 300; ++i) {
      REQUIRE(Put(db.get(), absl::StrCat("k", 1000 + i), base::RandomBytes(20000), Durability::kBuffered).ok());
    }
  }
  int damaged = 0;
  for (const auto& file : std::filesystem::directory_iterator(folder.path())) {
    if (file.path().extension() != ".sst" || file.file_size() < 100000) continue;
    std::fstream bytes(file.path(), std::ios::in | std::ios::out | std::ios::binary);
    bytes.seekp(static_cast<std::streamoff>(file.file_size() / 2));
    bytes.write("damaged!", 8);
    ++damaged;
  }
  REQUIRE(damaged > 0);
  const auto db = OpenDatabase(folder.path(), {{"t"}, {"other"}}, {});
  if (!db.ok()) {
    CHECK(absl::IsDataLoss(db.status()));
    return;
  }
  const auto cursor = (*db)->Scan(0, "", "");
  int seen = 0;
  for (; cursor->Valid(); cursor->Next()) ++seen;
  CHECK(absl::IsDataLoss(cursor->status()));
  CHECK(seen < 300);
  std::set<absl::StatusCode> codes;
  for (int i = 0; i < 300; ++i) codes.insert((*db)->Get(0, absl::StrCat("k", 1000 + i)).status().code());
  CHECK(codes == std::set<absl::StatusCode>{absl::StatusCode::kOk, absl::StatusCode::kDataLoss});
  std::vector<std::string> keys;
  for (int i = 0; i < 300; ++i) keys.push_back(absl::StrCat("k", 1000 + i));
  CHECK(absl::IsDataLoss((*db)->MultiGet(0, keys).status()));
}

// Writes keys from `from` on until the disk is full; how many were acknowledged.
int WriteUntilFull(Database* db, int from) {
  for (int i = from;; ++i) {
    REQUIRE(i < 10000);
    const absl::Status status = Put(db, absl::StrCat("k", i), base::RandomBytes(50000));
    if (status.ok()) continue;
    INFO(status);
    REQUIRE(absl::IsResourceExhausted(status));
    return i - from;
  }
}

void CheckAllThere(const Database& db, int count) {
  int missing = 0;
  for (int i = 0; i < count; ++i) {
    const auto value = db.Get(0, absl::StrCat("k", i));
    if (!value.ok() || !value->has_value() || (*value)->size() != 50000) ++missing;
  }
  CHECK(missing == 0);
}

// Fills the disk thrice and frees it thrice; how many keys were acknowledged.
int LiveThroughFullDisks(SmallDisk* disk, Database* db) {
  int acknowledged = 0;
  for (int round = 0; round < 3; ++round) {
    INFO("round " << round);
    disk->Fill(round == 0 ? 8 << 20 : 2 << 20);
    acknowledged += WriteUntilFull(db, acknowledged);
    disk->Fill(0);  // background work may have freed some
    REQUIRE(absl::IsResourceExhausted(Put(db, "while full", std::string(50000, 'x'))));
    CheckAllThere(*db, acknowledged);  // reading goes on
    disk->Free();
    const absl::Status freed = Put(db, absl::StrCat("k", acknowledged), std::string(50000, 'y'));
    INFO(freed);
    REQUIRE(freed.ok());
    ++acknowledged;
    REQUIRE(db->Get(0, "while full").value() == std::nullopt);
  }
  return acknowledged;
}

TEST_CASE("a full disk refuses commits and lets them in again once there is space, without a restart",
          "[store][rocksdb][full]") {
  SmallDisk disk(size_t{24} << 20);
  if (!disk.ok()) {
    WARN("SKIPPED: mounting a tmpfs is not allowed here");
    return;
  }
  const std::string path = disk.path() + "/db";
  int acknowledged = 0;
  {
    const auto db = Open(path);
    acknowledged = LiveThroughFullDisks(&disk, db.get());
  }
  CheckAllThere(*Open(path), acknowledged);
}

TEST_CASE("lives through full disks, then dies", "[.dies-after-full-disks]") {
  SmallDisk disk(SmallDisk::Use{FolderOfChild()});
  const auto db = Open(disk.path() + "/db");
  const int acknowledged = LiveThroughFullDisks(&disk, db.get());
  std::ofstream(disk.path() + "/acknowledged") << acknowledged << std::flush;
  kill(getpid(), SIGKILL);
}

TEST_CASE("the replay after a crash does not stop at a write that a full disk tore", "[store][rocksdb][full]") {
  SmallDisk disk(size_t{24} << 20);
  if (!disk.ok()) {
    WARN("SKIPPED: mounting a tmpfs is not allowed here");
    return;
  }
  RunAndDie("[.dies-after-full-disks]", disk.path());
  int acknowledged = 0;
  REQUIRE(std::ifstream(disk.path() + "/acknowledged") >> acknowledged);
  REQUIRE(acknowledged > 10);
  CheckAllThere(*Open(disk.path() + "/db"), acknowledged);
}

TEST_CASE("a disk that is full at the very first commit is no different", "[store][rocksdb][full]") {
  SmallDisk disk(size_t{16} << 20);
  if (!disk.ok()) {
    WARN("SKIPPED: mounting a tmpfs is not allowed here");
    return;
  }
  const auto db = Open(disk.path() + "/db");
  disk.Fill(0);
  CHECK(absl::IsResourceExhausted(Put(db.get(), "refused", base::RandomBytes(300000))));
  disk.Free();
  REQUIRE(Put(db.get(), "k0", std::string(50000, 'y')).ok());
  REQUIRE(Put(db.get(), "k1", std::string(50000, 'y')).ok());
  CheckAllThere(*db, 2);
}

}  // namespace
}  // namespace hub::store

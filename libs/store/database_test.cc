// One body for both databases: what every caller may rely on, whichever it was given.
#include "libs/store/database.h"

#include <atomic>
#include <filesystem>
#include <map>
#include <random>

#include "absl/strings/str_cat.h"
#include "libs/base/hash.h"
#include "libs/base/thread.h"
#include "libs/store/temp_dir.h"
#include "tests/catch.h"

namespace hub::store {
namespace {

constexpr TableId kPoints = 0;
constexpr TableId kOrdered = 1;

struct Subject {
  std::unique_ptr<TempDir> folder;
  std::unique_ptr<Database> database;
};

Subject Make(const std::string& kind) {
  Subject subject;
  if (kind == "memory") {
    subject.database = std::make_unique<MemoryDatabase>(2);
  } else {
    subject.folder = std::make_unique<TempDir>();
    auto opened = OpenDatabase(subject.folder->path(), {{"points"}, {"ordered", TableShape::kScans}}, {});
    REQUIRE(opened.ok());
    subject.database = std::move(opened).value();
  }
  return subject;
}

std::string Dump(const Database& database, TableId table, absl::string_view begin = "", absl::string_view end = "") {
  std::string all;
  const auto cursor = database.Scan(table, begin, end);
  for (; cursor->Valid(); cursor->Next()) absl::StrAppend(&all, cursor->key(), "=", cursor->value(), " ");
  CHECK(cursor->status().ok());
  return all;
}

#define EACH_DATABASE                                                 \
  const std::string kind = GENERATE(std::string("memory"), std::string("rocksdb")); \
  INFO(kind);                                                         \
  Subject subject = Make(kind);                                       \
  Database& db = *subject.database

TEST_CASE("operations of a batch apply in order, across tables, and tables do not mix", "[store]") {
  EACH_DATABASE;
  Batch batch;
  batch.Put(kPoints, "a", "1");
  batch.Put(kPoints, "a", "2");
  batch.Put(kOrdered, "a", "other");
  batch.Put(kPoints, "b", "3");
  batch.Delete(kPoints, "b");
  batch.Delete(kPoints, "never");
  batch.Put(kPoints, "", "empty key");
  batch.Put(kPoints, std::string("z\0z", 3), std::string("\0", 1));
  REQUIRE(db.Commit(batch, Durability::kSynced).ok());
  CHECK(db.Get(kPoints, "a").value() == "2");
  CHECK(db.Get(kOrdered, "a").value() == "other");
  CHECK(db.Get(kPoints, "b").value() == std::nullopt);
  CHECK(db.Get(kPoints, "").value() == "empty key");
  CHECK(db.Get(kPoints, std::string("z\0z", 3)).value() == std::string("\0", 1));
  CHECK(db.Commit(Batch(), Durability::kSynced).ok());
}

TEST_CASE("a range is deleted up to, not including, its end", "[store]") {
  EACH_DATABASE;
  Batch batch;
  for (const char* key : {"a", "b", "c", "d"}) batch.Put(kOrdered, key, key);
  batch.DeleteRange(kOrdered, "b", "d");
  batch.Put(kOrdered, "c", "again");
  batch.DeleteRange(kOrdered, "d", "a");  // inverted: empty
  REQUIRE(db.Commit(batch, Durability::kBuffered).ok());
  CHECK(Dump(db, kOrdered) == "a=a c=again d=d ");
}

TEST_CASE("a scan walks its range in key order and sees only what was there when it began", "[store]") {
  EACH_DATABASE;
  Batch batch;
  for (const char* key : {"b", "a", "d", "c"}) batch.Put(kOrdered, key, "1");
  REQUIRE(db.Commit(batch, Durability::kBuffered).ok());
  CHECK(Dump(db, kOrdered, "b", "d") == "b=1 c=1 ");
  CHECK(Dump(db, kOrdered, "bb", "") == "c=1 d=1 ");
  CHECK(Dump(db, kOrdered, "d", "b").empty());

  const auto cursor = db.Scan(kOrdered, "", "");
  Batch later;
  later.Delete(kOrdered, "b");
  later.Put(kOrdered, "aa", "2");
  later.Put(kOrdered, "c", "2");
  REQUIRE(db.Commit(later, Durability::kBuffered).ok());
  std::string seen;
  for (; cursor->Valid(); cursor->Next()) absl::StrAppend(&seen, cursor->key(), "=", cursor->value(), " ");
  CHECK(seen == "a=1 b=1 c=1 d=1 ");
  CHECK(Dump(db, kOrdered) == "a=1 aa=2 c=2 d=1 ");
}

TEST_CASE("MultiGet answers each key in order, also keys asked for twice", "[store]") {
  EACH_DATABASE;
  Batch batch;
  batch.Put(kPoints, "a", "1");
  batch.Put(kPoints, "b", "2");
  REQUIRE(db.Commit(batch, Durability::kBuffered).ok());
  const auto values = db.MultiGet(kPoints, {"b", "a", "b", "none", "a", "none"});
  REQUIRE(values.ok());
  using Answers = std::vector<std::optional<std::string>>;
  CHECK(*values == Answers{"2", "1", "2", std::nullopt, "1", std::nullopt});
  CHECK(db.MultiGet(kPoints, {}).value().empty());
}

TEST_CASE("Last finds the greatest key below the end", "[store]") {
  EACH_DATABASE;
  CHECK(db.Last(kOrdered, "", "").value() == std::nullopt);
  Batch batch;
  for (const char* key : {"a1", "a2", "b1"}) batch.Put(kOrdered, key, key);
  REQUIRE(db.Commit(batch, Durability::kBuffered).ok());
  CHECK(db.Last(kOrdered, "", "").value()->first == "b1");
  CHECK(db.Last(kOrdered, "a", "b").value()->first == "a2");
  CHECK(db.Last(kOrdered, "a", "b1").value()->first == "a2");
  CHECK(db.Last(kOrdered, "a3", "b").value() == std::nullopt);
  CHECK(db.Last(kOrdered, "b", "a").value() == std::nullopt);
}

TEST_CASE("readers see whole commits only", "[store]") {
  EACH_DATABASE;
  std::atomic<bool> torn{false};
  {
    base::Thread reader("reader", [&](std::stop_token stop) {
      while (!stop.stop_requested()) {
        std::string first, second;
        const auto cursor = db.Scan(kOrdered, "a", "c");
        for (; cursor->Valid(); cursor->Next()) (first.empty() ? first : second) = std::string(cursor->value());
        if (first != second) torn = true;
        const auto both = db.MultiGet(kOrdered, {"a", "b"});
        if (!both.ok() || (*both)[0] != (*both)[1]) torn = true;
      }
    });
    for (int i = 0; i < 2000; ++i) {
      Batch batch;
      batch.Put(kOrdered, "a", absl::StrCat(i));
      batch.Put(kOrdered, "b", absl::StrCat(i));
      REQUIRE(db.Commit(batch, Durability::kBuffered).ok());
    }
  }
  CHECK_FALSE(torn);
}

TEST_CASE("random batches leave what a plain map would hold", "[store]") {
  EACH_DATABASE;
  const uint64_t seed = base::Mix64(base::RandomBytes(8));
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  std::map<std::string, std::string> model;
  const auto key = [&] { return absl::StrCat("k", random() % 50); };
  for (int round = 0; round < 200; ++round) {
    Batch batch;
    for (int i = 0; i < 5; ++i) {
      const std::string a = key(), b = key();
      switch (random() % 4) {
        case 0: batch.Delete(kOrdered, a); model.erase(a); break;
        case 1:
          if (a >= b || random() % 3 != 0) break;
          batch.DeleteRange(kOrdered, a, b);
          model.erase(model.lower_bound(a), model.lower_bound(b));
          break;
        default: {
          const std::string value = absl::StrCat(random());
          batch.Put(kOrdered, a, value);
          model[a] = value;
        }
      }
    }
    REQUIRE(db.Commit(batch, random() % 10 == 0 ? Durability::kSynced : Durability::kBuffered).ok());
  }
  std::string expected;
  for (const auto& [k, v] : model) absl::StrAppend(&expected, k, "=", v, " ");
  CHECK(Dump(db, kOrdered) == expected);
  for (int i = 0; i < 50; ++i) {
    const std::string k = absl::StrCat("k", i);
    CHECK(db.Get(kOrdered, k).value() == (model.count(k) ? std::optional<std::string>(model[k]) : std::nullopt));
  }
}

TEST_CASE("reclaiming a deleted range leaves its neighbours", "[store]") {
  EACH_DATABASE;
  Batch batch;
  for (int i = 0; i < 1000; ++i) batch.Put(kOrdered, absl::StrCat("k", 1000 + i), std::string(100, 'x'));
  REQUIRE(db.Commit(batch, Durability::kSynced).ok());
  Batch deletion;
  deletion.DeleteRange(kOrdered, "k1000", "k1900");
  REQUIRE(db.Commit(deletion, Durability::kSynced).ok());
  REQUIRE(db.Reclaim(kOrdered, "k1000", "k1900").ok());
  CHECK(db.Last(kOrdered, "", "").value()->first == "k1999");
  CHECK(db.Scan(kOrdered, "", "")->key() == "k1900");
}

TEST_CASE("a crash of the memory database undoes what was not synced, and no more", "[store][crash]") {
  MemoryDatabase db(1);
  const auto put = [&](const char* key, const char* value, Durability durability) {
    Batch batch;
    batch.Put(0, key, value);
    REQUIRE(db.Commit(batch, durability).ok());
  };
  put("a", "1", Durability::kSynced);
  put("b", "1", Durability::kBuffered);
  put("c", "1", Durability::kSynced);  // makes b durable too
  put("a", "2", Durability::kBuffered);
  put("a", "3", Durability::kBuffered);
  put("d", "1", Durability::kBuffered);
  Batch range;
  range.DeleteRange(0, "b", "d");
  REQUIRE(db.Commit(range, Durability::kBuffered).ok());
  CHECK(Dump(db, 0) == "a=3 d=1 ");
  const auto before = db.Scan(0, "", "");
  db.Crash();
  CHECK(Dump(db, 0) == "a=1 b=1 c=1 ");
  CHECK(before->value() == "3");  // an open cursor keeps its view
  db.Crash();
  CHECK(Dump(db, 0) == "a=1 b=1 c=1 ");
}

}  // namespace
}  // namespace hub::store

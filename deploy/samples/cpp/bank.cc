// A bank on the C++ library: follows the hub's stream into a store of its own, and answers "is this number flagged?" from there.
//
//   sample-bank --store FILE --server HOST:PORT --identity DIR follow [--afresh]     runs until it is ended; may be killed at any time
//   sample-bank --store FILE lookup TYPE:CANONICAL... [--max-age SECONDS]            needs no hub: level, NO_INDICATOR or UNKNOWN
//   sample-bank --store FILE list                                                    all that is flagged
//   sample-bank --in-process DIR --server HOST:PORT --identity DIR lookup TYPE:CANONICAL... | -
//
// With a store of our own the library reconnects, resumes and orders; what remains ours is in FlagStore: the version rule for what we kept from
// before, the sweep at a snapshot's end, and the token, written after what it stands for. With --in-process nothing remains: the library keeps
// the replica in DIR, follows the hub while we run, and answers; "-" answers each line of standard input.
#include <google/protobuf/util/time_util.h>
#include <sqlite3.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include "fraudhub/lookup.h"
#include "fraudhub/subscriber.h"
#include "fraudhub/v1/lookup.pb.h"
#include "fraudhub/v1/subscription.pb.h"

namespace {

namespace v1 = fraudhub::v1;

// An SQLite file; exits when it fails: what was not written comes again. Thread safety: one thread.
class FlagStore {
 public:
  explicit FlagStore(const std::string& path) {
    if (sqlite3_open(path.c_str(), &db_) != SQLITE_OK) Fail();
    sqlite3_busy_timeout(db_, 10'000);
    WriteAhead();
    Do("PRAGMA synchronous=NORMAL");  // a power cut may take the last writes, the token's among them: they come again
    // A withdrawn flag stays as a row of level 0: its version keeps a late repeat from bringing it back.
    Do("CREATE TABLE IF NOT EXISTS flags (id TEXT PRIMARY KEY, identifier TEXT, level INT, lapses INT, term INT, "
       "version INT, cause INT,"
       " sweep INT)");
    Do("CREATE INDEX IF NOT EXISTS by_identifier ON flags (identifier)");
    Do("CREATE TABLE IF NOT EXISTS place (one INT PRIMARY KEY, token BLOB DEFAULT '', sweep INT DEFAULT 0, age_at INT "
       "DEFAULT 0)");
    Do("INSERT OR IGNORE INTO place (one) VALUES (1)");
  }
  ~FlagStore() { sqlite3_close(db_); }
  FlagStore(const FlagStore&) = delete;
  FlagStore& operator=(const FlagStore&) = delete;

  void Apply(const v1::Event& event) {
    const v1::Indicator& indicator = event.indicator();
    const int level = event.left_view() || indicator.level() <= v1::LEVEL_NONE ? 0 : indicator.level();
    // Only what is greater than the version we have, and told of in either case.
    Do("INSERT INTO flags VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, (SELECT sweep FROM place)) ON CONFLICT (id) DO UPDATE SET"
       " identifier = ?2, level = ?3, lapses = ?4, term = ?5, version = ?6, cause = ?7 WHERE (?5, ?6, ?7) > (term, "
       "version, cause)",
       {indicator.indicator_id(), NameOf(indicator.identifier()), std::to_string(level),
        std::to_string(indicator.has_expires_at() ? indicator.expires_at().seconds() : INT64_MAX),
        std::to_string(event.version().term()), std::to_string(event.version().version()),
        std::to_string(event.version().reports_offset())});
    Told(indicator.indicator_id());
  }
  void Told(const std::string& id) { Do("UPDATE flags SET sweep = (SELECT sweep FROM place) WHERE id = ?1", {id}); }
  void BeginSnapshot() { Do("UPDATE place SET sweep = sweep + 1"); }
  void EndSnapshot() { Do("DELETE FROM flags WHERE sweep < (SELECT sweep FROM place)"); }
  void ForgetVersions() { Do("UPDATE flags SET term = 0, version = 0, cause = -1"); }
  void Keep(const std::string& token, int64_t complete_until) {
    Do("UPDATE place SET token = ?1, age_at = ?2", {token, std::to_string(complete_until)});
  }

  std::string Token() { return First("SELECT token FROM place"); }
  std::string Lookup(const std::string& identifier, int64_t max_age) {
    const int64_t now = google::protobuf::util::TimeUtil::GetCurrentTime().seconds();
    if (now - std::atoll(First("SELECT age_at FROM place").c_str()) > max_age)
      return "UNKNOWN";  // never "nothing": nobody knows
    const std::string level =
        First("SELECT max(level) FROM flags WHERE identifier = ?1 AND level > 0 AND lapses > CAST(?2 AS INT)",
              {identifier, std::to_string(now)});
    return level.empty() ? "NO_INDICATOR" : LevelWord(std::atoi(level.c_str()));
  }
  void List() {
    Do("SELECT identifier, level FROM flags WHERE level > 0 ORDER BY 1", {}, [](const std::vector<std::string>& row) {
      std::cout << row[0] << ' ' << LevelWord(std::atoi(row[1].c_str())) << '\n';
    });
  }

 private:
  using OnRow = std::function<void(const std::vector<std::string>&)>;

  static std::string NameOf(const v1::Identifier& identifier) {
    return v1::IdentifierType_Name(identifier.type()).substr(std::string("IDENTIFIER_TYPE_").size()) + ":" +
           identifier.canonical();
  }
  static std::string LevelWord(int level) {
    return v1::Level_Name(static_cast<v1::Level>(level)).substr(std::string("LEVEL_").size());
  }

  // So that lookups go on while the follower writes. Of two who begin with a new file one must wait: SQLite does not, here.
  void WriteAhead() {
    for (int tries = 200; sqlite3_exec(db_, "PRAGMA journal_mode=WAL", nullptr, nullptr, nullptr) != SQLITE_OK;) {
      if (sqlite3_errcode(db_) != SQLITE_BUSY || --tries == 0) Fail();
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
  }
  // One statement, a transaction of its own; SQLite turns texts into what the columns are.
  void Do(const char* sql, const std::vector<std::string>& values = {}, const OnRow& on_row = nullptr) {
    sqlite3_stmt* statement = nullptr;
    if (sqlite3_prepare_v2(db_, sql, -1, &statement, nullptr) != SQLITE_OK) Fail();
    for (size_t i = 0; i < values.size(); ++i) {
      sqlite3_bind_text(statement, static_cast<int>(i + 1), values[i].data(), static_cast<int>(values[i].size()),
                        SQLITE_STATIC);
    }
    int result;
    while ((result = sqlite3_step(statement)) == SQLITE_ROW) {
      std::vector<std::string> row;
      for (int i = 0; i < sqlite3_column_count(statement); ++i) {
        const void* bytes = sqlite3_column_blob(statement, i);
        row.emplace_back(static_cast<const char*>(bytes),
                         bytes == nullptr ? 0 : static_cast<size_t>(sqlite3_column_bytes(statement, i)));
      }
      if (on_row) on_row(row);
    }
    if (result != SQLITE_DONE) Fail();
    sqlite3_finalize(statement);
  }
  std::string First(const char* sql, const std::vector<std::string>& values = {}) {
    std::string first;
    Do(sql, values, [&](const std::vector<std::string>& row) { first = row[0]; });
    return first;
  }
  [[noreturn]] void Fail() {
    std::cerr << "sample-bank: the store: " << sqlite3_errmsg(db_) << std::endl;
    std::exit(1);
  }

  sqlite3* db_ = nullptr;
};

fraudhub::Status Follow(const fraudhub::Connection& connection, bool afresh, FlagStore* store) {
  fraudhub::SubscriberOptions options;
  options.connection = connection;
  options.client_id = "sample-bank";
  options.token = afresh ? "" : store->Token();
  options.start = fraudhub::StreamStart::kSnapshot;  // without a token
  options.snapshot_when_lost = true;                 // nor one that is too old
  fraudhub::SubscriberHandlers handlers;
  handlers.on_event = [store](const v1::Event& event) {
    store->Apply(event);
    return true;
  };
  handlers.on_progress = [store](const v1::Progress& progress) {
    store->Keep(progress.token(), progress.complete_until().seconds());
  };
  handlers.on_log_changed = [store] { store->ForgetVersions(); };
  handlers.on_snapshot_begins = [store] { store->BeginSnapshot(); };
  handlers.on_unchanged = [store](const std::string& id) { store->Told(id); };
  handlers.on_snapshot_ends = [store] { store->EndSnapshot(); };
  handlers.on_disconnected = [](const fraudhub::Status& why, std::chrono::milliseconds) {
    std::cerr << "stream ended, trying again: " << why.ToString() << std::endl;
  };
  return fraudhub::Subscriber::Run(options, {}, handlers, {});
}

std::string AnswerOf(const fraudhub::Lookup& lookup, const std::string& asked) {
  const size_t colon = asked.find(':');
  v1::IdentifierType type;
  if (colon == std::string::npos || !v1::IdentifierType_Parse("IDENTIFIER_TYPE_" + asked.substr(0, colon), &type)) {
    return "INVALID";
  }
  v1::LookupRequest request;
  request.add_identifiers()->set_type(type);
  request.mutable_identifiers(0)->set_value(asked.substr(colon + 1));
  const fraudhub::Result<v1::LookupResponse> answer = lookup.Get(request);
  if (!answer.ok()) return "UNKNOWN";
  const v1::LookupResult& result = answer->results(0);
  if (result.verdict() == v1::LOOKUP_VERDICT_INDICATOR) {
    return v1::Level_Name(result.indicator().level()).substr(std::string("LEVEL_").size());
  }
  return v1::LookupVerdict_Name(result.verdict()).substr(std::string("LOOKUP_VERDICT_").size());
}

fraudhub::Status LookUpInProcess(const std::string& folder, const fraudhub::ReplicaOptions& options,
                                 const std::vector<std::string>& identifiers) {
  const fraudhub::Result<fraudhub::Lookup> lookup = fraudhub::Lookup::Open(folder, options);
  if (!lookup.ok()) return lookup.status();
  // A replica that begins has nothing to tell before its snapshot has come; a program that runs on need not wait.
  for (int tenths = 0; tenths < 300 && !lookup->age().has_value(); ++tenths) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  const auto answer = [&](const std::string& asked) {
    std::cout << asked << ' ' << AnswerOf(*lookup, asked) << std::endl;
  };
  for (const std::string& identifier : identifiers) {
    if (identifier != "-") answer(identifier);
    for (std::string line; identifier == "-" && std::getline(std::cin, line);) answer(line);
  }
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  fraudhub::Connection connection;
  connection.server = "localhost:7443";
  std::string file, replica, command;
  std::vector<std::string> identifiers;
  bool afresh = false;
  int64_t max_age = 60;
  CLI::App app("A bank: follows the stream, answers from its own store.");
  CLI::Option_group* const where = app.add_option_group("store");
  where->add_option("--store", file, "An SQLite file of ours");
  where->add_option("--in-process", replica, "A folder for the library's replica; lookup only");
  where->require_option(1);
  app.add_option("--server", connection.server, "host:port");
  app.add_option("--identity", connection.identity_dir, "Folder with cert.pem, key.pem, ca.pem");
  app.add_flag("--afresh", afresh, "follow: begin with a snapshot, whatever we have");
  app.add_option("--max-age", max_age,
                 "lookup: seconds; what is older may have been withdrawn since, and is no answer");
  app.add_option("COMMAND", command, "follow, lookup or list")
      ->required()
      ->check(CLI::IsMember({"follow", "lookup", "list"}));
  app.add_option("ID", identifiers, "lookup: MOBILE:+915551234567, canonical; with --in-process as you like");
  CLI11_PARSE(app, argc, argv);
  if (!replica.empty()) {
    const fraudhub::ReplicaOptions options{.hub = connection,
                                           .age_max = std::chrono::seconds(max_age),
                                           .client_id = "sample-bank",
                                           .allow_test_range = true};
    const fraudhub::Status end = command == "lookup" ? LookUpInProcess(replica, options, identifiers)
                                                     : fraudhub::Status{.code = fraudhub::Code::kInvalidArgument,
                                                                        .message = "--in-process: want lookup"};
    if (!end.ok()) std::cerr << "sample-bank: " << end.ToString() << '\n';
    return end.ok() ? 0 : 1;
  }
  FlagStore store(file);
  if (command == "follow") {
    const fraudhub::Status end = Follow(connection, afresh, &store);
    std::cerr << "sample-bank: " << end.ToString() << '\n';
    return 1;
  }
  if (command == "list") store.List();
  for (const std::string& identifier : identifiers)
    std::cout << identifier << ' ' << store.Lookup(identifier, max_age) << '\n';
  return 0;
}

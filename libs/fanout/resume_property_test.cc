// Random registries, filters and connections: whatever happens, each client's view is filter(state) at every mark of progress.
#include <random>

#include "absl/strings/str_cat.h"
#include "libs/eventlog/topics.h"
#include "libs/fanout/fanout_kit_test.h"
#include "libs/model/refusal.h"
#include "tests/catch.h"

namespace hub::fanout {
namespace {

using kit::Feed;
using kit::Row;
using model::Level;

constexpr int32_t kPartitions = 3;
constexpr int kNumbers = 40;

struct Client {
  model::Filter filter;
  SessionOptions options;
  std::unique_ptr<Session> session;
  kit::View view;
  std::string token;
  std::map<int32_t, eventlog::Offset> told;  // by this session
  std::vector<eventlog::Offset> seen;        // by the view: a stream may begin again further back
  bool stalled = false;
};

class World {
 public:
  explicit World(uint64_t seed) : random_(seed), feed_(kPartitions), history_(kPartitions), owners_(kPartitions, 1) {
    for (int32_t p = 0; p < kPartitions; ++p) MarkTerm(p, 1);
    for (int i = 0; i < 2; ++i) nodes_.push_back(NewNode());
    for (int i = 0; i < 8; ++i) {
      Client client;
      client.filter = RandomFilter();
      client.options = feed_.BankOptions();
      if (i % 2 == 0) client.options.form = EventForm::kRuns;
      client.options.message_bytes_max = static_cast<size_t>(1 + Draw(6000));
      client.options.unacked_bytes_max = static_cast<size_t>(1000 + Draw(20'000));
      client.options.window = kWindow;
      clients_.push_back(std::move(client));
    }
  }

  void Run(int steps) {
    for (int i = 0; i < steps; ++i) Act();
    Settle();
  }

  int64_t marks = 0, resumes = 0, fenced = 0, too_old = 0, cleaned = 0, bootstraps = 0;

 private:
  static constexpr absl::Duration kWindow = absl::Minutes(10);
  static constexpr absl::Duration kLag = absl::Minutes(11);

  int Draw(int bound) { return static_cast<int>(random_() % static_cast<uint64_t>(bound)); }

  model::Attributes RandomRow() { return Row(static_cast<Level>(1 + Draw(4)), {Draw(3)}); }
  model::Filter RandomFilter() {
    std::vector<model::FilterClause> clauses;
    for (int n = 1 + Draw(2); n > 0; --n) {
      model::FilterClause clause{.level_min = static_cast<Level>(1 + Draw(4))};
      if (Draw(2) == 0) clause.categories = {Draw(3)};
      clauses.push_back(clause);
    }
    return model::Filter::AnyOf(clauses);
  }

  std::unique_ptr<Dispatcher> NewNode() {
    DispatcherOptions options = feed_.Options();
    options.segment_bytes_max = 4096 + Draw(60'000);
    options.catchup_bytes_max = 200'000 + Draw(400'000);
    return feed_.Open(options);
  }

  // What is in force from an offset on: numbers and their rows.
  using State = std::map<int, const model::Attributes*>;

  void MarkTerm(int32_t partition, uint64_t term) {
    owners_[static_cast<size_t>(partition)] = term;
    feed_.PutMark(partition, term);
  }
  void Owner(int32_t partition) { feed_.term = owners_[static_cast<size_t>(partition)]; }

  void Change(int number) {
    const int32_t partition = number % kPartitions;
    Owner(partition);
    const model::Attributes row = RandomRow();
    const eventlog::Offset offset = feed_.Change(partition, number, row);
    history_[static_cast<size_t>(partition)].emplace_back(offset, number, row);
    last_[number] = row;
    ++versions_[number];
  }

  // A deposed owner writes, and the owner repairs what compaction might take for the newest (R13).
  void Zombie(int number) {
    const int32_t partition = number % kPartitions;
    const uint64_t owner = owners_[static_cast<size_t>(partition)];
    if (owner == 1 || versions_[number] == 0) return;
    feed_.term = owner - 1;
    feed_.Put(partition, kit::EventOf(number, versions_[number] + 3, RandomRow(), RandomRow()));
    feed_.term = owner;
    feed_.PutState(partition, kit::EventOf(number, versions_[number], last_[number]), 1'000'000);
    ++fenced;
  }

  State StateAt(const std::vector<eventlog::Offset>& positions) const {
    State state;
    for (size_t p = 0; p < history_.size(); ++p) {
      for (const auto& [offset, number, row] : history_[p]) {
        if (offset < positions[p]) state[number] = &row;
      }
    }
    return state;
  }
  static std::map<std::string, Level> Expected(const model::Filter& filter, const State& state) {
    std::map<std::string, Level> rows;
    for (const auto& [number, row] : state) {
      if (filter.Matches(*row)) rows[kit::IdOf(number)] = row->level;
    }
    return rows;
  }

  void Open(Client* client) {
    client->told.clear();
    Dispatcher* node = nodes_[static_cast<size_t>(Draw(static_cast<int>(nodes_.size())))].get();
    if (!client->token.empty()) {
      auto resumed = feed_.Resume(node, client->filter, client->token, client->options);
      if (resumed.ok()) {
        client->session = *std::move(resumed);
        ++resumes;
        return;
      }
      const auto refusal = model::RefusalOf(resumed.status());
      REQUIRE(refusal.has_value());
      REQUIRE(refusal->code == model::RefusalCode::kCursorTooOld);
      ++too_old;
    }
    client->token.clear();
    client->view.Clear();
    client->seen.assign(kPartitions, 0);
    client->session = feed_.Start(node, client->filter, SessionStart::kEarliest, client->options);
    if (client->session->Token().empty()) ++bootstraps;
  }

  void Read(Client* client) {
    if (client->session == nullptr) Open(client);
    const auto message = client->session->Next();
    if (!message.ok()) {
      REQUIRE(model::RefusalOf(message.status())->code == model::RefusalCode::kCursorTooOld);
      client->session.reset();
      ++too_old;
      return;
    }
    if (!calm_ && Draw(30) == 0) {  // lost with the connection
      client->session.reset();
      return;
    }
    const kit::Received batch = kit::Parse(kit::Bytes(*message));
    client->view.Apply(batch);
    for (const auto& [partition, offset] : batch.positions) {
      client->told[partition] = offset;
      eventlog::Offset& seen = client->seen[static_cast<size_t>(partition)];
      seen = std::max(seen, offset);
    }
    if (calm_ || Draw(3) != 0)
      REQUIRE(client->session->OnAck(calm_ || Draw(2) == 0 ? client->told : batch.positions).ok());
    // The acknowledged token is never ahead of the newest: what it repeats, the version rule drops.
    if (Draw(8) == 0) {
      if (const std::string acked = client->session->AckedToken(); !acked.empty()) client->token = acked;
    }
    if (!batch.progress) return;
    client->token = batch.token;
    ++marks;
    const auto at = client->session->positions();
    for (size_t p = 0; p < at.size(); ++p) REQUIRE(client->seen[p] >= at[p].offset);
    REQUIRE(client->view.rows() == Expected(client->filter, StateAt(client->seen)));
  }

  bool SomebodyBootstraps() const {
    for (const Client& client : clients_) {
      if (client.session != nullptr && client.session->Token().empty()) return true;
    }
    return false;
  }

  void Act() {
    const int dice = Draw(1000);
    Client* client = &clients_[static_cast<size_t>(Draw(static_cast<int>(clients_.size())))];
    if (dice < 300) {
      Change(Draw(kNumbers));
    } else if (dice < 330) {
      const int32_t partition = Draw(kPartitions);
      Owner(partition);
      feed_.PutTick(partition);
    } else if (dice < 340) {
      const int32_t partition = Draw(kPartitions);
      MarkTerm(partition, owners_[static_cast<size_t>(partition)] + 1);
    } else if (dice < 370) {
      Zombie(Draw(kNumbers));
    } else if (dice < 400) {
      feed_.clock.Advance(absl::Milliseconds(Draw(3000)));
    } else if (dice < 402) {
      feed_.clock.Advance(absl::Minutes(Draw(8)));
    } else if (dice < 405) {
      client->session.reset();
    } else if (dice < 410) {
      client->stalled = !client->stalled;
    } else if (dice < 412) {
      for (Client& other : clients_) other.session.reset();
      nodes_[static_cast<size_t>(Draw(2))] = NewNode();
    } else if (dice < 414 && !SomebodyBootstraps()) {
      Compact();
    } else if (dice < 600) {
      nodes_[static_cast<size_t>(Draw(2))]->Step();
    } else if (!client->stalled) {
      Read(client);
    }
  }

  void Compact() {
    std::vector<eventlog::TopicSpec> topics = eventlog::HubTopics(kPartitions);
    for (auto& topic : topics) topic.compaction_lag = kLag;
    REQUIRE(feed_.log()->EnsureTopics(topics).ok());
    feed_.memory()->Clean();
    ++cleaned;
  }

  // Calm: everybody arrives, each at filter(the last state).
  void Settle() {
    for (Client& client : clients_) client.stalled = false;
    std::vector<eventlog::Offset> ends;
    for (int32_t p = 0; p < kPartitions; ++p) ends.push_back(feed_.Range(p).end);
    calm_ = true;
    for (int round = 0; round < 3000; ++round) {
      feed_.clock.Advance(absl::Milliseconds(10));
      for (const auto& node : nodes_) node->Step();
      bool arrived = true;
      for (Client& client : clients_) {
        Read(&client);
        arrived &= client.session != nullptr && client.session->RecordsBehind() == 0;
      }
      if (arrived) break;
    }
    for (Client& client : clients_) {
      REQUIRE(client.session != nullptr);
      REQUIRE(client.session->RecordsBehind() == 0);
      REQUIRE(client.view.rows() == Expected(client.filter, StateAt(ends)));
    }
  }

  std::mt19937_64 random_;
  Feed feed_;
  std::vector<std::unique_ptr<Dispatcher>> nodes_;  // outlive the sessions
  std::vector<Client> clients_;
  std::vector<std::vector<std::tuple<eventlog::Offset, int, model::Attributes>>> history_;
  std::vector<uint64_t> owners_;
  std::map<int, model::Attributes> last_;
  std::map<int, uint64_t> versions_;
  bool calm_ = false;
};

TEST_CASE("A token of any state resumes without gap or loss, on any node", "[fanout][property]") {
  int64_t marks = 0, resumes = 0, fenced = 0, too_old = 0, cleaned = 0, bootstraps = 0;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    INFO("seed " << seed);
    World world(seed);
    world.Run(2500);
    marks += world.marks;
    resumes += world.resumes;
    fenced += world.fenced;
    too_old += world.too_old;
    cleaned += world.cleaned;
    bootstraps += world.bootstraps;
  }
  // A run in which nothing happened proves nothing.
  CHECK(marks > 500);
  CHECK(resumes > 500);
  CHECK(fenced > 300);
  CHECK(too_old > 20);
  CHECK(cleaned > 20);
  CHECK(bootstraps > 20);
}

}  // namespace
}  // namespace hub::fanout

// Who serves which partition, against a real broker.
#include "libs/eventlog/kafka_group.h"

#include <map>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "libs/base/clock.h"
#include "libs/base/hash.h"
#include "libs/base/metrics.h"
#include "libs/base/mutex.h"
#include "libs/eventlog/kafka_broker_test.h"
#include "tests/catch.h"

namespace hub::eventlog {
namespace {

constexpr int32_t kPartitions = 4;
constexpr absl::Duration kPatience = absl::Seconds(30);

// Members of one group over a topic of its own, and what each was last dealt.
class Group {
 public:
  explicit Group(const std::string& bootstrap) {
    log_.bootstrap_servers = bootstrap;
    log_.topic_prefix = absl::StrCat("test-", absl::BytesToHexString(base::RandomBytes(6)), ".");
    auto log = OpenKafkaLog(log_, &clock_, &metrics_, absl::Seconds(30));
    REQUIRE(log.ok());
    TopicSpec topic;
    topic.name = "work";
    topic.partitions = kPartitions;
    REQUIRE((*log)->EnsureTopics({topic}).ok());
  }

  std::unique_ptr<KafkaGroup> Join(const std::string& member) {
    KafkaGroupOptions options;
    options.group = "workers";
    options.member = member;
    options.topic = "work";
    options.session_timeout = absl::Seconds(6);  // the least that a broker takes
    options.on_change = [this, member](const std::set<int32_t>& partitions) {
      base::MutexLock lock(&mu_);
      dealt_[member] = partitions;
      changed_.NotifyAll();
    };
    auto joined = KafkaGroup::Join(log_, options);
    INFO(joined.status());
    REQUIRE(joined.ok());
    return *std::move(joined);
  }

  bool Await(const std::map<std::string, size_t>& counts) {
    base::MutexLock lock(&mu_);
    const absl::Duration until = clock_.Monotonic() + kPatience;
    while (true) {
      bool all = true;
      for (const auto& [member, count] : counts) all = all && dealt_[member].size() == count;
      if (all) return true;
      if (clock_.Monotonic() >= until) return false;
      changed_.WaitFor(&mu_, absl::Milliseconds(100));
    }
  }
  std::set<int32_t> Dealt(const std::string& member) {
    base::MutexLock lock(&mu_);
    return dealt_[member];
  }

 private:
  const base::RealClock clock_;
  base::Metrics metrics_;
  KafkaLogOptions log_;
  base::Mutex mu_;
  base::CondVar changed_;
  std::map<std::string, std::set<int32_t>> dealt_ ABSL_GUARDED_BY(mu_);
};

TEST_CASE("Members of a group share the partitions, one that comes back gets its own, one that stays away loses them",
          "[kafka]") {
  const std::string bootstrap = KafkaTestBroker::SharedOrEmpty();
  if (bootstrap.empty()) return;
  Group group(bootstrap);
  auto first = group.Join("first");
  REQUIRE(group.Await({{"first", 4}}));
  CHECK(first->Health().ok());
  auto second = group.Join("second");
  REQUIRE(group.Await({{"first", 2}, {"second", 2}}));
  const std::set<int32_t> had = group.Dealt("second");

  second.reset();
  second = group.Join("second");  // well within the session's time
  REQUIRE(group.Await({{"first", 2}, {"second", 2}}));
  CHECK(group.Dealt("second") == had);

  second.reset();
  CHECK(group.Await({{"first", 4}}));
}

TEST_CASE("Of two processes with one name the earlier is told, and has no partitions", "[kafka]") {
  const std::string bootstrap = KafkaTestBroker::SharedOrEmpty();
  if (bootstrap.empty()) return;
  Group group(bootstrap);
  const auto earlier = group.Join("same");
  REQUIRE(group.Await({{"same", 4}}));
  const auto later = group.Join("same");
  const base::RealClock clock;
  const absl::Duration until = clock.Monotonic() + kPatience;
  base::Mutex mu;
  base::CondVar never;
  while (earlier->Health().ok() && clock.Monotonic() < until) {
    base::MutexLock lock(&mu);
    never.WaitFor(&mu, absl::Milliseconds(50));
  }
  CHECK(absl::IsFailedPrecondition(earlier->Health()));
}

}  // namespace
}  // namespace hub::eventlog

// The logs of the unit binary: memory and local, under a clock that only Age moves.
#include "absl/strings/str_cat.h"
#include "libs/base/clock.h"
#include "libs/base/metrics.h"
#include "libs/base/mutex.h"
#include "libs/eventlog/contract_suite_test.h"
#include "libs/eventlog/local_log.h"
#include "libs/eventlog/memory_log.h"
#include "libs/eventlog/mirrored_log.h"
#include "libs/store/temp_dir.h"
#include "tests/catch.h"

namespace hub::eventlog {
namespace {

class UnderManualClock : public ContractLog {
 public:
  absl::Duration lag() const override { return absl::Hours(1); }
  void Age() override { clock_.Advance(2 * lag()); }

 protected:
  base::ManualClock clock_{absl::FromUnixSeconds(1700000000)};
};

class ContractMemoryLog final : public UnderManualClock {
 public:
  ContractMemoryLog() { Restart(); }
  ~ContractMemoryLog() override { Close(); }
  void Restart() override { log_ = std::make_unique<MemoryLog>(&clock_, MemoryLogOptions()); }
  bool survives_restart() const override { return false; }
  bool CleansUntil(const std::function<bool()>& done) override {
    static_cast<MemoryLog*>(log_.get())->Clean();
    return done();
  }
  void Expire(const TopicPartition&, Offset) override {}
};

class ContractLocalLog final : public UnderManualClock {
 public:
  ContractLocalLog() { Restart(); }
  ~ContractLocalLog() override { Close(); }
  void Restart() override {
    log_.reset();
    LocalLogOptions options;
    options.clean_interval = absl::Milliseconds(2);
    auto opened = OpenLocalLog(folder_.path(), &clock_, &metrics_, options);
    INFO(opened.status());
    REQUIRE(opened.ok());
    log_ = std::move(opened).value();
  }
  bool CleansUntil(const std::function<bool()>& done) override {
    const base::RealClock real;
    const absl::Duration start = real.Monotonic();
    // The cleaner has a thread of its own, and nothing tells when it is through.
    while (!done()) {
      if (real.Monotonic() - start > absl::Seconds(30)) return false;
      log_->Wait({}, absl::Milliseconds(2));
    }
    return true;
  }
  void Expire(const TopicPartition&, Offset) override {}

 private:
  store::TempDir folder_;
  base::Metrics metrics_;
};

// A local log with a copy of "plain" in front.
class ContractMirroredLog final : public UnderManualClock {
 public:
  ContractMirroredLog() { Restart(); }
  bool forgets_topics() const override { return false; }
  ~ContractMirroredLog() override { Close(); }
  void Restart() override {
    log_.reset();
    behind_.reset();
    LocalLogOptions options;
    options.clean_interval = absl::Milliseconds(2);
    auto opened = OpenLocalLog(absl::StrCat(folder_.path(), "/log"), &clock_, &metrics_, options);
    REQUIRE(opened.ok());
    behind_ = std::move(opened).value();
    REQUIRE(behind_->EnsureTopics(Topics(lag())).ok());
    auto database = store::OpenDatabase(absl::StrCat(folder_.path(), "/copy"), MirrorTables(), {});
    REQUIRE(database.ok());
    MirrorOptions mirror;
    mirror.topic = "plain";
    mirror.partitions = 3;
    auto log = MirroredLog::Open(behind_.get(), std::move(database).value(), mirror, &clock_, &metrics_);
    INFO(log.status());
    REQUIRE(log.ok());
    log_ = std::move(log).value();
  }
  bool CleansUntil(const std::function<bool()>& done) override {
    const base::RealClock real;
    const absl::Duration start = real.Monotonic();
    while (!done()) {
      if (real.Monotonic() - start > absl::Seconds(30)) return false;
      log_->Wait({}, absl::Milliseconds(2));
    }
    return true;
  }
  void Expire(const TopicPartition&, Offset) override {}

 private:
  store::TempDir folder_;
  base::Metrics metrics_;
  std::unique_ptr<Log> behind_;
};

}  // namespace

std::vector<std::string> ContractLogKinds() { return {"memory", "local", "mirrored"}; }

std::unique_ptr<ContractLog> MakeContractLog(const std::string& kind) {
  if (kind == "memory") return std::make_unique<ContractMemoryLog>();
  if (kind == "mirrored") return std::make_unique<ContractMirroredLog>();
  return std::make_unique<ContractLocalLog>();
}

}  // namespace hub::eventlog

#include "libs/client/local_replica.h"

#include <sys/statvfs.h>

#include <algorithm>
#include <atomic>
#include <stop_token>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/log.h"
#include "libs/base/status_macros.h"
#include "libs/client/replica_folder.h"
#include "libs/store/database.h"

namespace hub::client {
namespace {

constexpr absl::Duration kKeepInterval = absl::Seconds(1);
constexpr absl::Duration kReopenPause = absl::Seconds(2);
constexpr absl::Duration kClockOffMax = absl::Seconds(10);  // beyond it Describe says so aloud

std::string Text(absl::Duration age) {
  return age == absl::InfiniteDuration() ? "unknown" : absl::FormatDuration(absl::Trunc(age, absl::Milliseconds(1)));
}

}  // namespace

// One opening of the files. Whoever uses it holds a share.
struct LocalReplica::Opened {
  std::unique_ptr<store::Database> database;
  std::unique_ptr<LocalView> view;
  std::atomic<bool> damaged{false};  // sequentially consistent; it never falls
  std::stop_source ended;            // the stream into it
};

LocalReplica::LocalReplica(LocalReplicaOptions options, const base::Clock* clock, base::Metrics* metrics)
    : options_(std::move(options)),
      clock_(clock),
      metrics_(metrics),
      follower_(options_.hub, options_.client_id),
      fetcher_(options_.query, options_.age_max, clock_, metrics_) {
  age_ = metrics_->AddGauge("fraudhub_edge_age_seconds", "Age of what the stream told; -1: nothing is complete yet");
  answers_age_ = metrics_->AddGauge("fraudhub_edge_answers_age_seconds",
                                    "Age of what lookups are answered from, a compact set perhaps; -1: nothing yet");
  behind_ =
      metrics_->AddGauge("fraudhub_edge_records_behind", "Records of the hub's log that the stream had not passed");
  indicators_ = metrics_->AddGauge("fraudhub_edge_indicators", "Indicators in view; -1: not counted yet");
  index_bytes_ = metrics_->AddGauge("fraudhub_edge_index_bytes", "Memory of the verdict index");
  skew_ = metrics_->AddGauge("fraudhub_edge_clock_skew_seconds",
                             "This machine's clock less the hub's, at the last progress");
  disk_free_ = metrics_->AddGauge("fraudhub_edge_disk_free_bytes", "Free bytes of the disk that the replica is on");
  damages_ = metrics_->AddCounter("fraudhub_edge_damaged_total",
                                  "Times the replica was damaged, set aside, and fetched again");
  for (base::Gauge* const gauge : {&age_, &answers_age_, &indicators_}) gauge->Set(-1);
}

LocalReplica::~LocalReplica() { Stop(); }

absl::Status LocalReplica::Open() {
  HUB_ASSIGN_OR_RETURN(std::shared_ptr<Opened> opened, OpenFiles());
  Publish(std::move(opened));
  return absl::OkStatus();
}

void LocalReplica::Start() {
  keeper_ = base::Thread("keeper", [this](std::stop_token stop) { Keep(stop); });
  housekeeper_ = base::Thread("housekeeper", [this](std::stop_token stop) { KeepHouse(stop); });
}

void LocalReplica::Stop() {
  housekeeper_.Stop();
  keeper_.Stop();
}

std::shared_ptr<LocalReplica::Opened> LocalReplica::Shared() const {
  base::MutexLock lock(&mu_);
  return opened_;
}

std::shared_ptr<const LocalView> LocalReplica::view() const {
  const std::shared_ptr<Opened> opened = Shared();
  return opened == nullptr ? nullptr : std::shared_ptr<const LocalView>(opened, opened->view.get());
}

// The keeper's thread: opens, follows, sets aside what is damaged, and again.
void LocalReplica::Keep(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    std::shared_ptr<Opened> opened = Shared();  // by Open, before the first time
    absl::Status status;
    if (opened == nullptr) {
      absl::StatusOr<std::shared_ptr<Opened>> files = OpenFiles();
      status = files.status();
      if (files.ok()) Publish(opened = *std::move(files));
    }
    if (opened != nullptr) {
      Follow(opened, stop);
      if (!opened->damaged) continue;
      Publish(nullptr);
      AwaitLastShare(opened);
      opened.reset();
      SetAside("a read found damage");
      Pause(stop, kReopenPause);  // a disk that goes on so must not keep the hub busy
    } else if (absl::IsDataLoss(status)) {
      SetAside(std::string(status.message()));
      Pause(stop, kReopenPause);
    } else {
      HUB_LOG_EVERY(10, ERROR, "replica_not_opened", {{"why", status.message()}});
      Pause(stop, kReopenPause);
    }
  }
}

// Until asked to stop, or there is damage.
void LocalReplica::Follow(const std::shared_ptr<Opened>& opened, const std::stop_token& stop) {
  const std::stop_callback end(stop, [&] { opened->ended.request_stop(); });
  base::Thread fetching(
      "verdicts", [this, &opened](std::stop_token) { fetcher_.Run(opened->view.get(), opened->ended.get_token()); });
  follower_.Run(opened->view.get(), opened->ended.get_token());
}

absl::StatusOr<std::shared_ptr<LocalReplica::Opened>> LocalReplica::OpenFiles() {
  auto opened = std::make_shared<Opened>();
  HUB_ASSIGN_OR_RETURN(opened->database, OpenReplica(options_.data_dir));
  HUB_ASSIGN_OR_RETURN(opened->view, LocalView::Open(opened->database.get(), 0, clock_, metrics_));
  opened->view->OnDamage([of = opened.get()] {
    of->damaged = true;
    of->ended.request_stop();
  });
  return opened;
}

void LocalReplica::SetAside(const std::string& why) {
  const absl::Status aside = SetReplicaAside(options_.data_dir, clock_->TimeNow(), why);
  if (aside.ok()) return damages_.Increment();
  HUB_LOG_EVERY(10, ERROR, "replica_not_set_aside", {{"why", aside.message()}});
}

void LocalReplica::Publish(std::shared_ptr<Opened> opened) {
  base::MutexLock lock(&mu_);
  opened_ = std::move(opened);
  changed_.NotifyAll();
}

// Lookups are short, and a load of the index stops when it sees the damage.
void LocalReplica::AwaitLastShare(const std::shared_ptr<Opened>& opened) {
  base::MutexLock lock(&mu_);
  while (opened.use_count() > 1) changed_.WaitFor(&mu_, absl::Milliseconds(5));
}

// The housekeeper's: the index when it is due, and what the metrics show.
void LocalReplica::KeepHouse(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    if (const std::shared_ptr<Opened> opened = Shared(); opened != nullptr && !opened->damaged) {
      if (opened->view->IndexWantsLoad()) LoadIndex(opened.get(), stop);
      ShowMetrics(*opened->view);
    }
    Pause(stop, kKeepInterval);
  }
}

void LocalReplica::LoadIndex(Opened* opened, const std::stop_token& stop) {
  const absl::Duration began = clock_->Monotonic();
  const auto loaded = opened->view->LoadIndex([&] { return stop.stop_requested() || opened->damaged; });
  if (!loaded.ok()) {
    HUB_LOG_EVERY(10, WARN, "index_not_loaded",
                  {{"why", loaded.status().message()}, {"effect", "lookups read the disk"}});
  } else if (*loaded) {
    HUB_LOG(
        INFO, "index_loaded",
        {{"indicators", opened->view->indicators()}, {"seconds", absl::ToDoubleSeconds(clock_->Monotonic() - began)}});
  }
}

void LocalReplica::ShowMetrics(const LocalView& view) {
  const Freshness fresh = view.freshness();
  const auto shown = [](absl::Duration age) {
    return age == absl::InfiniteDuration() ? -1 : absl::ToDoubleSeconds(age);
  };
  age_.Set(shown(fresh.age));
  answers_age_.Set(shown(AnswersAge(view)));
  behind_.Set(static_cast<double>(fresh.records_behind));
  indicators_.Set(static_cast<double>(view.indicators()));
  index_bytes_.Set(static_cast<double>(view.index_bytes()));
  skew_.Set(absl::ToDoubleSeconds(fresh.skew));
  struct statvfs disk = {};
  if (statvfs(options_.data_dir.c_str(), &disk) == 0) {
    disk_free_.Set(static_cast<double>(disk.f_bavail) * static_cast<double>(disk.f_frsize));
  }
}

void LocalReplica::Pause(const std::stop_token& stop, absl::Duration pause) {
  const std::stop_callback wake(stop, [this] {
    base::MutexLock lock(&mu_);
    changed_.NotifyAll();
  });
  const absl::Duration until = clock_->Monotonic() + pause;
  base::MutexLock lock(&mu_);
  while (!stop.stop_requested() && clock_->Monotonic() < until) changed_.WaitFor(&mu_, until - clock_->Monotonic());
}

// As lookups choose: what the stream told, unless it is too old and there is a set.
absl::Duration LocalReplica::AnswersAge(const LocalView& view) const {
  const absl::Duration age = view.freshness().age;
  if (age <= options_.age_max) return age;
  const std::shared_ptr<const FirstVerdicts> first = view.first_verdicts();
  return first == nullptr ? age : view.FreshnessOf(*first).age;
}

std::string LocalReplica::Unready() const {
  const std::shared_ptr<const LocalView> held = view();
  if (held == nullptr) return "replica: not open\n";
  const absl::Duration age = AnswersAge(*held);
  if (age <= options_.age_max) return "";
  return absl::StrCat("replica: data age ", Text(age), ", lookups answer UNKNOWN; the hub: ", follower_.link(), "\n");
}

std::string LocalReplica::Describe() const {
  std::string text = absl::StrCat("hub: ", follower_.link(), "\n");
  const std::shared_ptr<const LocalView> held = view();
  if (held == nullptr) return text;
  const Freshness fresh = held->freshness();
  absl::StrAppend(&text, "age: ", Text(fresh.age), ", records behind: ", fresh.records_behind, "\n");
  absl::StrAppend(&text, "indicators: ", held->indicators(), ", index: ", held->index_bytes(), " bytes\n");
  if (const auto first = held->first_verdicts(); first != nullptr) {
    absl::StrAppend(&text, "first verdicts, until the snapshot has ended: ", first->set.size(), ", age ",
                    Text(held->FreshnessOf(*first).age), "\n");
  }
  absl::StrAppend(&text, "clock: ", absl::FormatDuration(absl::Trunc(fresh.skew, absl::Milliseconds(1))),
                  " ahead of the hub's", absl::AbsDuration(fresh.skew) > kClockOffMax ? ": set it\n" : "\n");
  return text;
}

}  // namespace hub::client

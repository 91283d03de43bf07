#include "libs/client/outbox.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "fraudhub/v1/report.pb.h"
#include "libs/base/check.h"
#include "libs/base/log.h"
#include "libs/base/mutex.h"
#include "libs/base/status_macros.h"
#include "libs/base/thread.h"
#include "libs/model/refusal.h"
#include "libs/store/database.h"
#include "libs/wire/utf8.h"

namespace hub::client {
namespace {

namespace v1 = ::fraudhub::v1;

// Stored: the one table, key = running number (8 bytes, big-endian), value = the report as it is sent.
constexpr store::TableId kReports = 0;
constexpr size_t kReadMax = 500;  // reports read from the disk at a time

std::string KeyOf(uint64_t number) {
  std::string key;
  store::AppendKey64(number, &key);
  return key;
}

class DiskOutbox final : public Outbox {
 public:
  DiskOutbox(std::unique_ptr<store::Database> database, const OutboxOptions& options, OnVerdict on_verdict)
      : database_(std::move(database)),
        reports_max_(options.reports_max),
        sending_(options.sending),
        in_flight_max_(static_cast<size_t>(options.reporter.in_flight_max)),
        on_verdict_(std::move(on_verdict)) {}

  // The feeder first: nobody is inside the reporter when it goes.
  ~DiskOutbox() override { feeder_.Stop(); }

  absl::Status Start(ReporterOptions options) {
    HUB_RETURN_IF_ERROR(Count());
    options.give_up_after = absl::InfiniteDuration();
    options.on_failed = [this, told = options.on_failed](const absl::Status& why) {
      if (told) told(why);
      base::MutexLock lock(&mu_);
      failed_ = why;
      changed_.NotifyAll();
    };
    HUB_ASSIGN_OR_RETURN(reporter_,
                         Reporter::Create(options, [this](uint64_t number, const v1::ReportVerdict& verdict) {
                           OnReported(number, verdict);
                         }));
    if (sending_) feeder_ = base::Thread("hub-outbox", [this](std::stop_token stop) { Feed(stop); });
    return absl::OkStatus();
  }

  absl::Status Add(const std::vector<v1::Report>& reports) override {
    for (size_t i = 0; i < reports.size(); ++i) {
      if (reports[i].report_id().empty())
        return absl::InvalidArgumentError("report_id: want the caller's own, kept on every retry");
      HUB_RETURN_IF_ERROR(model::WithFieldPrefix(wire::CheckUtf8(reports[i]), absl::StrCat("reports[", i, "]")));
    }
    base::MutexLock lock(&mu_);
    if (waiting_ + reports.size() > reports_max_) return absl::ResourceExhaustedError("the outbox is full");
    store::Batch batch;
    uint64_t number = end_;
    for (const v1::Report& report : reports) batch.Put(kReports, KeyOf(number++), report.SerializeAsString());
    HUB_RETURN_IF_ERROR(database_->Commit(batch, store::Durability::kSynced));
    end_ = number;
    waiting_ += reports.size();
    changed_.NotifyAll();
    return absl::OkStatus();
  }

  absl::Status Flush() override {
    base::MutexLock lock(&mu_);
    while (waiting_ > 0 && failed_.ok()) changed_.Wait(&mu_);
    return waiting_ == 0 ? absl::OkStatus() : failed_;
  }

  size_t waiting() const override {
    base::MutexLock lock(&mu_);
    return waiting_;
  }

  absl::StatusOr<std::vector<v1::ReportStatus>> Status(const std::vector<std::string>& report_ids) override {
    return reporter_->Status(report_ids);
  }

 private:
  struct Numbered {
    uint64_t number = 0;
    v1::Report report;
  };

  // What an earlier outbox left.
  absl::Status Count() {
    base::MutexLock lock(&mu_);
    const auto left = database_->Scan(kReports, "", "");
    for (; left->Valid(); left->Next()) {
      const uint64_t number = store::DecodeKey64(left->key());
      if (waiting_++ == 0) fed_ = number;
      end_ = number + 1;
    }
    return left->status();
  }

  // The feeder's thread: hands to the reporter what is on the disk, in its order, never more than the reporter takes without waiting.
  void Feed(std::stop_token stop) {
    const std::stop_callback wake(stop, [this] {
      base::MutexLock lock(&mu_);
      changed_.NotifyAll();
    });
    while (true) {
      uint64_t from = 0, end = 0;
      size_t room = 0;
      {
        base::MutexLock lock(&mu_);
        while (!stop.stop_requested() && failed_.ok() && (fed_ == end_ || in_flight_ >= in_flight_max_))
          changed_.Wait(&mu_);
        if (stop.stop_requested() || !failed_.ok()) return;
        from = fed_;
        end = end_;
        room = std::min(in_flight_max_ - in_flight_, kReadMax);
      }
      std::vector<Numbered> reports;
      const absl::Status read = Read(from, end, room, &reports);
      {
        base::MutexLock lock(&mu_);
        if (!read.ok()) failed_ = read;
        fed_ = reports.size() < room ? end : reports.back().number + 1;
        in_flight_ += reports.size();
        changed_.NotifyAll();
      }
      for (Numbered& one : reports) {
        if (!reporter_->Submit(one.number, std::move(one.report)).ok()) return;  // on_failed has told
      }
    }
  }

  absl::Status Read(uint64_t from, uint64_t end, size_t count, std::vector<Numbered>* reports) const {
    const auto cursor = database_->Scan(kReports, KeyOf(from), KeyOf(end));
    for (; cursor->Valid() && reports->size() < count; cursor->Next()) {
      Numbered& one = reports->emplace_back();
      one.number = store::DecodeKey64(cursor->key());
      const absl::string_view bytes = cursor->value();
      // Add took none that could not be read again.
      HUB_CHECK(one.report.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())));
    }
    return cursor->status();
  }

  // The reporter's thread.
  void OnReported(uint64_t number, const v1::ReportVerdict& verdict) {
    if (on_verdict_) on_verdict_(verdict);
    store::Batch batch;
    batch.Delete(kReports, KeyOf(number));
    // One that can't be taken out is sent again by the next outbox, which does no harm.
    if (const absl::Status taken = database_->Commit(batch, store::Durability::kBuffered); !taken.ok()) {
      HUB_LOG_EVERY(60, WARN, "outbox_not_cleared", {{"why", taken.message()}});
    }
    base::MutexLock lock(&mu_);
    --waiting_;
    --in_flight_;
    changed_.NotifyAll();
  }

  const std::unique_ptr<store::Database> database_;
  const size_t reports_max_;
  const bool sending_;
  const size_t in_flight_max_;
  const OnVerdict on_verdict_;

  mutable base::Mutex mu_;
  base::CondVar changed_;
  uint64_t fed_ ABSL_GUARDED_BY(mu_) = 0;  // numbers below are with the reporter, or gone
  uint64_t end_ ABSL_GUARDED_BY(mu_) = 0;  // the next number
  size_t waiting_ ABSL_GUARDED_BY(mu_) = 0;
  size_t in_flight_ ABSL_GUARDED_BY(mu_) = 0;  // of them with the reporter
  absl::Status failed_ ABSL_GUARDED_BY(mu_);

  std::unique_ptr<Reporter> reporter_;  // calls into the above until it is gone
  base::Thread feeder_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Outbox>> Outbox::Open(const std::string& folder, const OutboxOptions& options,
                                                     OnVerdict on_verdict) {
  store::DatabaseOptions small;
  small.block_cache_bytes = size_t{8} << 20;
  small.write_buffer_bytes = size_t{8} << 20;
  HUB_ASSIGN_OR_RETURN(auto database, store::OpenDatabase(folder, {{"reports", store::TableShape::kScans}}, small));
  auto outbox = std::make_unique<DiskOutbox>(std::move(database), options, std::move(on_verdict));
  HUB_RETURN_IF_ERROR(outbox->Start(options.reporter));
  return outbox;
}

}  // namespace hub::client

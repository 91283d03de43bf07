#include "fraudhub/reporter.h"

#include <utility>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "fraudhub/translate.h"
#include "fraudhub/v1/report.pb.h"
#include "libs/client/outbox.h"

namespace fraudhub {

using hub::client::Translate;

namespace {

hub::client::OutboxOptions OutboxOptionsOf(const ReporterOptions& options) {
  hub::client::OutboxOptions outbox;
  outbox.sending = options.sending;
  outbox.reports_max = options.reports_max;
  hub::client::ReporterOptions& reporter = outbox.reporter;
  reporter.connection = Translate(options.connection);
  reporter.status = Translate(options.status);
  reporter.batch_size = options.batch_size;
  reporter.in_flight_max = options.in_flight_max;
  reporter.linger = absl::FromChrono(options.linger);
  reporter.answer_timeout = absl::FromChrono(options.answer_timeout);
  reporter.call_timeout = absl::FromChrono(options.call_timeout);
  reporter.backoff_base = absl::FromChrono(options.backoff_base);
  reporter.backoff_max = absl::FromChrono(options.backoff_max);
  if (options.on_pause) {
    reporter.on_pause = [told = options.on_pause](const absl::Status& why, absl::Duration pause) {
      told(Translate(why), Translate(pause));
    };
  }
  if (options.on_failed) {
    reporter.on_failed = [told = options.on_failed](const absl::Status& why) { told(Translate(why)); };
  }
  return outbox;
}

}  // namespace

struct Reporter::Impl {
  std::unique_ptr<hub::client::Outbox> outbox;
};

std::string NewReportId() { return hub::client::NewReportId(); }

Result<Reporter> Reporter::Open(const std::string& folder, const ReporterOptions& options, OnVerdict on_verdict) {
  hub::client::PrepareProcess();
  auto outbox = hub::client::Outbox::Open(folder, OutboxOptionsOf(options), std::move(on_verdict));
  if (!outbox.ok()) return Translate(outbox.status());
  return Reporter(std::make_unique<Impl>(Impl{*std::move(outbox)}));
}

Reporter::Reporter(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Reporter::Reporter(Reporter&&) noexcept = default;
Reporter& Reporter::operator=(Reporter&&) noexcept = default;
Reporter::~Reporter() = default;

Status Reporter::Add(std::span<const v1::Report> reports) {
  return Translate(impl_->outbox->Add({reports.begin(), reports.end()}));
}

Status Reporter::Add(const v1::Report& report) { return Translate(impl_->outbox->Add({report})); }

Status Reporter::Flush() { return Translate(impl_->outbox->Flush()); }

size_t Reporter::waiting() const { return impl_->outbox->waiting(); }

Result<std::vector<v1::ReportStatus>> Reporter::GetStatus(const std::vector<std::string>& report_ids) {
  auto statuses = impl_->outbox->Status(report_ids);
  if (!statuses.ok()) return Translate(statuses.status());
  return *std::move(statuses);
}

}  // namespace fraudhub

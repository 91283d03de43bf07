#include "services/hubctl/import_run.h"

#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <unordered_map>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "libs/base/hash.h"
#include "libs/client/reporter.h"
#include "libs/model/refusal.h"
#include "libs/wire/wire.h"
#include "services/hubctl/csv_reader.h"
#include "services/hubctl/hub_calls.h"
#include "services/hubctl/interrupts.h"
#include "services/hubctl/progress_bar.h"
#include "services/hubctl/rejects_file.h"
#include "services/hubctl/revocation_list_reader.h"
#include "services/hubctl/row_mapper.h"
#include "services/hubctl/status_follower.h"
#include "services/hubctl/words.h"

namespace hub::hubctl {
namespace {

namespace v1 = ::fraudhub::v1;

constexpr size_t kHashChunk = 1 << 20;
constexpr size_t kFileBuffer = 1 << 20;
constexpr absl::Duration kGiveUpAfter = absl::Minutes(5);  // a hub that restarts, a broker that elects
constexpr absl::Duration kToldEvery = absl::Seconds(5);
constexpr absl::Duration kPauseToTell = absl::Seconds(2);

// "reports[3].identifier.value" is about a batch that nobody knows.
std::string WithoutPlace(const std::string& path) {
  const size_t dot = path.find("].");
  return path.rfind("reports[", 0) == 0 && dot != std::string::npos ? path.substr(dot + 2) : path;
}

class ImportJob {
 public:
  ImportJob(const ImportOptions& options, const Environment& env)
      : options_(options), env_(env), buffer_(kFileBuffer) {}

  absl::StatusOr<ImportResult> Run() {
    HUB_RETURN_IF_ERROR(Open());
    HUB_ASSIGN_OR_RETURN(rejects_, RejectsFile::Open(options_.rejects_path, env_.err));
    if (!options_.dry_run) HUB_RETURN_IF_ERROR(Connect());
    const absl::Duration started = env_.clock->Monotonic();
    absl::Status read;
    {
      bar_ =
          std::make_unique<ProgressBar>(&counters_, file_size_, env_.clock, env_.err_is_terminal ? env_.err : nullptr);
      read = ReadFile();
      if (read.ok()) counters_.bytes.store(file_size_, std::memory_order_relaxed);
      if (reporter_ != nullptr) {
        const absl::Status sent = reporter_->Flush();
        if (sent_.ok()) sent_ = sent;
      }
      result_.took = env_.clock->Monotonic() - started;
      // What waits for its outcome is few seconds behind; the bar shows the end meanwhile.
      if (follower_ != nullptr)
        follower_->Finish(sent_.ok() && !interrupts_.token().stop_requested() ? options_.status_patience
                                                                              : absl::ZeroDuration());
      bar_.reset();
    }
    HUB_RETURN_IF_ERROR(rejects_->Close());
    if (!sent_.ok()) return SendFailed();
    if (absl::IsInvalidArgument(read) && result_.rows == 0) return base::Annotate(read, options_.path);
    if (!read.ok() && !absl::IsCancelled(read)) result_.file_status = base::Annotate(read, options_.path);
    result_.interrupted = Interrupts::came();
    result_.accepted = counters_.settled.load() - counters_.rejected.load();
    result_.rejected = rejects_->by_code();
    if (follower_ != nullptr) {
      result_.outcomes = follower_->outcomes();
      result_.undecided = follower_->undecided();
      result_.status_status = follower_->failure();
    }
    return std::move(result_);
  }

 private:
  struct Pending {
    uint64_t line = 0;
    std::vector<std::string> fields;
  };

  absl::Status Open() {
    struct stat facts = {};
    if (stat(options_.path.c_str(), &facts) != 0 || !S_ISREG(facts.st_mode)) {
      return absl::NotFoundError(absl::StrCat(options_.path, ": no such file"));
    }
    struct stat rejects = {};
    if (!options_.rejects_path.empty() && stat(options_.rejects_path.c_str(), &rejects) == 0 &&
        rejects.st_ino == facts.st_ino && rejects.st_dev == facts.st_dev) {
      return Usage("--rejects: is the file itself");
    }
    file_size_ = static_cast<uint64_t>(facts.st_size);
    observed_at_ =
        options_.observed_at == absl::InfinitePast() ? absl::FromUnixSeconds(facts.st_mtime) : options_.observed_at;
    result_.list_id = options_.list_id;
    if (result_.list_id.empty()) {
      HUB_ASSIGN_OR_RETURN(result_.list_id, ListIdOfFile(options_.path));
    }
    file_.rdbuf()->pubsetbuf(buffer_.data(), static_cast<std::streamsize>(buffer_.size()));
    file_.open(options_.path, std::ios::binary);
    if (!file_) return absl::NotFoundError(absl::StrCat(options_.path, ": can't be read"));
    return absl::OkStatus();
  }

  // Fails at once when the hub can't be reached: later the reporter is patient.
  absl::Status Connect() {
    HUB_ASSIGN_OR_RETURN(calls_, HubCalls::Connect(env_));
    HUB_ASSIGN_OR_RETURN(HubCalls reports, HubCalls::Connect(env_, Serves::kReports));
    HUB_RETURN_IF_ERROR(reports.AwaitConnection());
    client::ReporterOptions reporter;
    HUB_ASSIGN_OR_RETURN(reporter.connection, ConnectionOf(env_.settings, Serves::kReports));
    HUB_ASSIGN_OR_RETURN(reporter.status, ConnectionOf(env_.settings, Serves::kQueries));
    reporter.in_flight_max = kInFlightMax;
    reporter.give_up_after = std::max(kGiveUpAfter, env_.timeout);
    reporter.on_pause = [this](const absl::Status& why, absl::Duration pause) { OnPause(why, pause); };
    HUB_ASSIGN_OR_RETURN(
        reporter_, client::Reporter::Create(
                       reporter, [this](uint64_t row, const v1::ReportVerdict& verdict) { OnVerdict(row, verdict); }));
    if (!options_.follow_status) return absl::OkStatus();
    follower_ = std::make_unique<StatusFollower>(
        [this](const std::vector<std::string>& ids) -> absl::StatusOr<std::vector<v1::ReportStatus>> {
          counters_.undecided.store(follower_->undecided(), std::memory_order_relaxed);
          v1::GetReportStatusRequest request;
          for (const std::string& id : ids) request.add_report_ids(id);
          HUB_ASSIGN_OR_RETURN(const auto response,
                               calls_->Call<v1::ReportService>(&v1::ReportService::Stub::GetReportStatus, request));
          return std::vector<v1::ReportStatus>(response.statuses().begin(), response.statuses().end());
        },
        [list = result_.list_id](uint64_t row) { return RowReportId(list, row); }, env_.clock, env_.clock->TimeNow());
    return absl::OkStatus();
  }

  absl::Status ReadFile() {
    const RowSink sink = [this](SourceRow row) { return OnRow(std::move(row)); };
    if (options_.format == ImportFormat::kRevocationList) {
      ColumnMap map = options_.map ? *options_.map : RevocationListMap();
      std::vector<std::string> keys;
      for (const auto& [name, field] : map.columns) {
        const auto at = field == ReportField::kIdentifier ? keys.begin() : keys.end();
        if (std::find(keys.begin(), keys.end(), name) == keys.end()) keys.insert(at, name);
      }
      HUB_RETURN_IF_ERROR(Bind(std::move(map), keys));
      return RevocationListReader(&file_, keys, &counters_.bytes).ReadRows(sink);
    }
    CsvReader reader(&file_, options_.map ? options_.map->delimiter : ',', &counters_.bytes);
    HUB_ASSIGN_OR_RETURN(const std::vector<std::string> header, reader.ReadHeader());
    HUB_RETURN_IF_ERROR(Bind(options_.map ? *options_.map : MapByName(header), header));
    return reader.ReadRows(sink);
  }

  absl::Status Bind(ColumnMap map, const std::vector<std::string>& header) {
    own_ids_ = std::any_of(map.columns.begin(), map.columns.end(),
                           [](const auto& one) { return one.second == ReportField::kReportId; });
    HUB_ASSIGN_OR_RETURN(mapper_, RowMapper::Bind(std::move(map), header, result_.list_id, observed_at_));
    rejects_->SetHeader(header);
    return absl::OkStatus();
  }

  absl::Status OnRow(SourceRow row) {
    if (interrupts_.token().stop_requested()) return absl::CancelledError("interrupted");
    ++result_.rows;
    counters_.rows.fetch_add(1, std::memory_order_relaxed);
    v1::Report report;
    absl::Status problem = row.problem;
    if (problem.ok()) problem = mapper_->Fill(row, &report);
    if (problem.ok() && options_.dry_run) problem = Judge(report);
    if (!problem.ok()) {
      rejects_->Add(row.line,
                    model::RefusalOf(problem).value_or(model::Refusal{model::RefusalCode::kBadFormat, "", ""}),
                    row.fields);
      counters_.rejected.fetch_add(1, std::memory_order_relaxed);
      counters_.settled.fetch_add(1, std::memory_order_relaxed);
      return absl::OkStatus();
    }
    if (options_.dry_run) {
      counters_.settled.fetch_add(1, std::memory_order_relaxed);
      return absl::OkStatus();
    }
    {
      base::MutexLock lock(&mu_);
      pending_[row.number] = {row.line, std::move(row.fields)};
    }
    sent_ = reporter_->Submit(row.number, std::move(report));
    return sent_.ok() ? absl::OkStatus() : absl::CancelledError("the hub takes no more");
  }

  // What the hub would check that needs no policy. Whether it takes the test range, we can't know.
  absl::Status Judge(const v1::Report& report) const {
    wire::InputContext context;
    context.now = env_.clock->TimeNow();
    context.allow_test_range = true;
    return wire::FromProto(report, context).status();
  }

  void OnVerdict(uint64_t row, const v1::ReportVerdict& verdict) {
    Pending pending;
    {
      base::MutexLock lock(&mu_);
      const auto found = pending_.find(row);
      if (found == pending_.end()) return;
      pending = std::move(found->second);
      pending_.erase(found);
    }
    counters_.settled.fetch_add(1, std::memory_order_relaxed);
    if (verdict.verdict() == v1::VERDICT_ACCEPTED) {
      if (follower_ != nullptr && !own_ids_) follower_->Accepted(row);
      return;
    }
    counters_.rejected.fetch_add(1, std::memory_order_relaxed);
    rejects_->Add(pending.line, Word(v1::ErrorReason_descriptor(), verdict.error()), WithoutPlace(verdict.field()),
                  verdict.message(), pending.fields);
  }

  void OnPause(const absl::Status& why, absl::Duration pause) {
    const absl::Duration now = env_.clock->Monotonic();
    // A hub that keeps us to its rate is no news.
    if (now < told_until_ || (absl::IsResourceExhausted(why) && pause < kPauseToTell)) return;
    told_until_ = now + kToldEvery;
    bar_->Say(env_.err, absl::StrCat("hubctl: ", Describe(why, env_.settings.server), "; going on in ",
                                     absl::FormatDuration(absl::Trunc(pause, absl::Milliseconds(1)))));
  }

  absl::Status SendFailed() const {
    const uint64_t taken = counters_.settled.load() - counters_.rejected.load();
    return base::Annotate(
        sent_,
        absl::StrCat(taken, " rows were taken; the same command goes on from there (what was taken counts once)"));
  }

  const ImportOptions& options_;
  const Environment& env_;
  Interrupts interrupts_;
  ImportResult result_;
  ProgressCounters counters_;
  std::vector<char> buffer_;  // of file_
  std::ifstream file_;
  uint64_t file_size_ = 0;
  absl::Time observed_at_;
  bool own_ids_ = false;
  absl::Status sent_;
  absl::Duration told_until_;  // the reporter's thread
  std::optional<HubCalls> calls_;
  std::optional<RowMapper> mapper_;
  std::unique_ptr<RejectsFile> rejects_;
  base::Mutex mu_;
  std::unordered_map<uint64_t, Pending> pending_ ABSL_GUARDED_BY(mu_);  // rows without a verdict: kInFlightMax at most
  std::unique_ptr<ProgressBar> bar_;
  std::unique_ptr<StatusFollower> follower_;
  std::unique_ptr<client::Reporter> reporter_;  // last: its thread uses the others
};

}  // namespace

absl::StatusOr<std::string> ListIdOfFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::NotFoundError(absl::StrCat(path, ": can't be read"));
  // A chain of hashes over fixed chunks: each covers the one before it, so equal ends mean equal files.
  std::string chained(sizeof(base::Digest) + kHashChunk, '\0');
  while (file) {
    file.read(chained.data() + sizeof(base::Digest), kHashChunk);
    const base::Digest digest =
        base::Sha256(absl::string_view(chained.data(), sizeof(base::Digest) + static_cast<size_t>(file.gcount())));
    std::copy(digest.begin(), digest.end(), chained.begin());
  }
  if (file.bad()) return absl::DataLossError(absl::StrCat(path, ": can't be read to its end"));
  return absl::StrCat("file-", absl::BytesToHexString(absl::string_view(chained.data(), 24)));
}

absl::StatusOr<ImportResult> RunImport(const ImportOptions& options, const Environment& env) {
  return ImportJob(options, env).Run();
}

}  // namespace hub::hubctl

#include "services/query/receipt_follower.h"

#include <utility>
#include <variant>
#include <vector>

#include "libs/base/log.h"
#include "libs/base/status_macros.h"
#include "libs/eventlog/topics.h"
#include "libs/wire/wire.h"

namespace hub::query {
namespace {

constexpr absl::Duration kWaitMax = absl::Milliseconds(200);  // so that Stop is quick
constexpr absl::Duration kPause = absl::Milliseconds(500);    // after an error
constexpr absl::Duration kPruneInterval = absl::Hours(1);

eventlog::TopicPartition Topic() { return {eventlog::kReceiptsTopic, 0}; }

}  // namespace

std::vector<store::TableSpec> ReceiptFollower::Tables() {
  std::vector<store::TableSpec> tables = ReceiptBook::Tables();
  for (const store::TableSpec& table : ActionBook::Tables()) tables.push_back(table);
  return tables;
}

absl::StatusOr<std::unique_ptr<ReceiptFollower>> ReceiptFollower::Start(const base::Clock* clock, eventlog::Log* log,
                                                                        store::Database* database,
                                                                        store::TableId table, ReplicaFeeder* feeder,
                                                                        base::Metrics* metrics) {
  HUB_ASSIGN_OR_RETURN(std::unique_ptr<ReceiptBook> book, ReceiptBook::Open(database, table, log->log_id()));
  auto follower = std::make_unique<ReceiptFollower>(clock, log, std::move(book), metrics);
  const auto actions_table = table + static_cast<store::TableId>(ReceiptBook::Tables().size());
  HUB_ASSIGN_OR_RETURN(follower->actions_, ActionBook::Open(database, actions_table, log->log_id()));
  feeder->OnEvent([at = follower->book()](const model::Event& event) { return at->NoteEvent(event); });
  feeder->OnHistory([at = follower->actions_.get()](const std::vector<replica::FedRecord>& records) {
    return at->Apply(records);
  });
  follower->thread_ = base::Thread("receipts", [at = follower.get()](std::stop_token stop) { at->Run(stop); });
  return follower;
}

ReceiptFollower::ReceiptFollower(const base::Clock* clock, eventlog::Log* log, std::unique_ptr<ReceiptBook> book,
                                 base::Metrics* metrics)
    : clock_(clock),
      log_(log),
      book_(std::move(book)),
      records_(metrics->AddCounter("fraudhub_query_receipt_records_total", "Records of receipts taken in")),
      undecodable_(metrics->AddCounter("fraudhub_query_receipts_undecodable_total", "Records of receipts passed over")) {}

ReceiptFollower::~ReceiptFollower() { Stop(); }

void ReceiptFollower::Stop() { thread_.Stop(); }

void ReceiptFollower::Run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    const absl::StatusOr<bool> any = Step();
    if (!any.ok()) {
      HUB_LOG_EVERY(30, WARN, "receipts_not_read", {{"status", any.status().ToString()}});
      log_->Wait({}, kPause);
    } else if (!*any) {
      log_->Wait({{Topic(), book_->next()}}, kWaitMax);
    }
  }
}

absl::StatusOr<bool> ReceiptFollower::Step() {
  if (clock_->Monotonic() >= prune_at_) {
    HUB_ASSIGN_OR_RETURN(const bool more, book_->Prune(clock_->TimeNow()));
    if (!more) prune_at_ = clock_->Monotonic() + kPruneInterval;
  }
  const int64_t from = book_->next();
  const absl::StatusOr<eventlog::ReadResult> read = log_->Read(Topic(), from, {});
  if (absl::IsOutOfRange(read.status())) {
    HUB_ASSIGN_OR_RETURN(const eventlog::OffsetRange range, log_->Offsets(Topic()));
    if (from >= range.first) return read.status();
    HUB_LOG(WARN, "receipts_jump", {{"from", from}, {"to", range.first}});
    HUB_RETURN_IF_ERROR(book_->Apply({}, range.first));
    return true;
  }
  HUB_RETURN_IF_ERROR(read.status());
  if (read->next == from) return false;
  std::vector<model::ReceiptUpdate> updates;
  for (const eventlog::StoredRecord& record : read->records) {
    absl::StatusOr<wire::DecodedRecord> decoded = wire::DecodeRecord(record.value);
    auto* update = decoded.ok() ? std::get_if<model::ReceiptUpdate>(&decoded->body) : nullptr;
    if (update != nullptr) {
      updates.push_back(std::move(*update));
      continue;
    }
    undecodable_.Increment();
    HUB_LOG(WARN, "receipts_record_passed_over", {{"offset", record.offset}});
  }
  records_.Increment(static_cast<double>(updates.size()));
  HUB_RETURN_IF_ERROR(book_->Apply(updates, read->next));
  return true;
}

}  // namespace hub::query

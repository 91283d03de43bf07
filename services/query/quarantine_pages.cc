#include "services/query/quarantine_pages.h"

#include <algorithm>
#include <variant>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "libs/base/hash.h"
#include "libs/base/mutex.h"
#include "libs/base/status_macros.h"
#include "libs/eventlog/topics.h"
#include "libs/model/refusal.h"
#include "libs/rpc/proto_time.h"
#include "libs/wire/wire.h"

namespace hub::query {
namespace {

namespace v1 = ::fraudhub::v1;

constexpr int kPage = 100;
constexpr int kPageMax = 1000;
constexpr int64_t kStep = 256;                            // offsets; a page that needs more goes back in several steps
constexpr size_t kBytesPerPage = size_t{32} << 20;        // read; with more the page ends after the step
constexpr int kWaitsMax = 150;                            // per page; then it ends with what there is
constexpr absl::Duration kWait = absl::Milliseconds(20);  // for a log that has nothing to say yet

v1::QuarantinedRecord ToProto(const eventlog::StoredRecord& stored) {
  v1::QuarantinedRecord record;
  rpc::ToProto(stored.appended_at, record.mutable_set_aside_at());
  absl::StatusOr<wire::DecodedRecord> decoded = wire::DecodeRecord(stored.value);
  const auto* aside = decoded.ok() ? std::get_if<model::Quarantined>(&decoded->body) : nullptr;
  const std::string& bytes = aside == nullptr ? stored.value : aside->value;
  if (aside != nullptr) {
    record.set_topic(aside->topic);
    record.set_partition(aside->partition);
    record.set_offset(aside->offset);
    record.set_reason(aside->reason);
  } else {
    record.set_topic(eventlog::kQuarantineTopic);
    record.set_offset(stored.offset);
    record.set_reason("a record of the quarantine that doesn't decode itself");
  }
  record.set_bytes_kept(bytes.size());
  const base::Digest digest = base::Sha256(bytes);
  record.set_sha256(
      absl::BytesToHexString(absl::string_view(reinterpret_cast<const char*>(digest.data()), digest.size())));
  return record;
}

// One page in the making.
class Page {
 public:
  explicit Page(eventlog::Log* log) : log_(log) {}

  // All records of [from, before), in order. Unavailable: not before the waits were used up.
  absl::StatusOr<std::vector<v1::QuarantinedRecord>> Read(int64_t from, int64_t before) {
    std::vector<v1::QuarantinedRecord> found;
    for (int64_t next = from; next < before;) {
      const absl::StatusOr<eventlog::ReadResult> read = log_->Read(kAt, next, {});
      if (absl::IsOutOfRange(read.status())) {  // its oldest records went meanwhile
        HUB_ASSIGN_OR_RETURN(const eventlog::OffsetRange range, log_->Offsets(kAt));
        if (range.first > next) {
          next = range.first;
          continue;
        }
      }
      if (!read.ok() && !absl::IsUnavailable(read.status())) return read.status();
      // A broker that is asked for another place has its answer ready for a later call.
      if (!read.ok() || read->next == next) {
        if (!Wait()) return absl::UnavailableError("the quarantine can't be read now");
        continue;
      }
      for (const eventlog::StoredRecord& record : read->records) {
        bytes_ += record.value.size();
        if (record.offset < before) found.push_back(ToProto(record));
      }
      next = read->next;
    }
    return found;
  }

  bool full() const { return bytes_ >= kBytesPerPage || waits_ >= kWaitsMax; }

  static inline const eventlog::TopicPartition kAt{eventlog::kQuarantineTopic, 0};

 private:
  bool Wait() {
    if (++waits_ > kWaitsMax) return false;
    base::Mutex mu;
    base::CondVar never;
    base::MutexLock lock(&mu);
    never.WaitFor(&mu, kWait);
    return true;
  }

  eventlog::Log* const log_;
  size_t bytes_ = 0;
  int waits_ = 0;
};

}  // namespace

absl::Status ReadQuarantinePage(eventlog::Log* log, const v1::ListQuarantineRequest& request,
                                v1::ListQuarantineResponse* response) {
  if (request.page_size() < 0 || request.page_size() > kPageMax)
    return model::Refuse(model::RefusalCode::kOutOfRange, "page_size", "want 0 to 1,000");
  const int size = request.page_size() == 0 ? kPage : request.page_size();
  HUB_ASSIGN_OR_RETURN(const eventlog::OffsetRange range, log->Offsets(Page::kAt));
  int64_t before = range.end;
  if (!request.page_token().empty() &&
      (!absl::SimpleAtoi(request.page_token(), &before) || before < 0 || before > range.end)) {
    return model::Refuse(model::RefusalCode::kBadFormat, "page_token", "want the token of the page before");
  }
  Page page(log);
  bool any_step = false;
  while (before > range.first && response->records_size() < size && !page.full()) {
    const int64_t from = std::max(range.first, before - std::min(kStep, int64_t{size} - response->records_size()));
    absl::StatusOr<std::vector<v1::QuarantinedRecord>> found = page.Read(from, before);
    if (absl::IsUnavailable(found.status()) && any_step) break;
    HUB_RETURN_IF_ERROR(found.status());
    for (auto record = found->rbegin(); record != found->rend(); ++record)
      *response->add_records() = std::move(*record);
    before = from;
    any_step = true;
  }
  if (before > range.first) response->set_next_page_token(absl::StrCat(before));
  return absl::OkStatus();
}

}  // namespace hub::query

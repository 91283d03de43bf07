// Between the outside (protobuf) and the model: public messages, records of the log, configuration files, redaction.
//
// The only place that knows field numbers. Thread safety: plain functions. Protobuf types appear by forward declaration only; callers
// that hold such messages include the generated headers in their own .cc files.
//
// Errors: model::Refuse(...) with a field path for anything a caller sent; DataLoss for stored bytes that don't decode.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "libs/model/event.h"
#include "libs/model/filter.h"
#include "libs/model/identifier.h"
#include "libs/model/policy_spec.h"
#include "libs/model/records.h"
#include "libs/model/report.h"
#include "libs/model/rules.h"

namespace google::protobuf {
class Message;
}
namespace fraudhub::v1 {
class CloseTenureRequest;
class CorrectRequest;
class Event;
class Filter;
class Indicator;
class RawIdentifier;
class Report;
}  // namespace fraudhub::v1

namespace hub::wire {

// --- records of the log ------------------------------------------------------------------------------------
//
// Frame: 0x01 | CRC-32C of the rest (4, big-endian) | term (8) | sequence (8) | LogRecord. Term and sequence are 0 on topics that
// have none. Restamp changes the term and nothing else.

struct RecordHeader {
  uint64_t term = 0;      // of the owner that sent it
  uint64_t sequence = 0;  // dense per partition of `events`
};

struct DecodedRecord {
  RecordHeader header;
  model::LogBody body;
};

std::string EncodeRecord(const RecordHeader& header, const model::LogBody& body);
// The same bytes for a report, at a fraction of the cost.
std::string EncodeReport(const RecordHeader& header, const model::Report& report);
absl::StatusOr<DecodedRecord> DecodeRecord(absl::string_view bytes);
// Header only, without parsing the body; checks the checksum.
absl::StatusOr<RecordHeader> DecodeHeader(absl::string_view bytes);
// The same record under another term. REQUIRES: DecodeHeader(bytes).ok().
std::string Restamp(absl::string_view bytes, uint64_t term);

// State as stored in the registry's and the replica's tables.
std::string EncodeState(const model::IndicatorState& state);
absl::StatusOr<model::IndicatorState> DecodeState(absl::string_view bytes);

// --- public API, in ---------------------------------------------------------------------------------------------

struct InputContext {
  absl::Time now;                       // ingest's clock; becomes received_at
  bool allow_test_range = false;
  absl::Duration future_max = absl::Minutes(5);
  absl::Duration dedupe_window = absl::Hours(24 * 35);
  model::Reporter reporter;
};

// Validates everything that needs no policy; field paths are relative to the report ("identifier.value").
absl::StatusOr<model::Report> FromProto(const fraudhub::v1::Report& report, const InputContext& context);
absl::StatusOr<model::CanonicalIdentifier> FromProto(const fraudhub::v1::RawIdentifier& identifier, bool allow_test_range);
absl::StatusOr<model::Filter> FromProto(const fraudhub::v1::Filter& filter);

// --- public API, out --------------------------------------------------------------------------------------------

// Which audiences a reader belongs to. kAll is always in it.
class AudienceSet {
 public:
  AudienceSet() = default;
  explicit AudienceSet(const std::vector<model::FieldAudience>& audiences);
  bool Has(model::FieldAudience audience) const { return (bits_ & (1u << static_cast<int>(audience))) != 0; }
  uint32_t bits() const { return bits_; }

 private:
  uint32_t bits_ = 1u << static_cast<int>(model::FieldAudience::kAll);
};

// Clears every field whose audience the reader is not in, at any depth; a field without the option is cleared (default deny).
// For messages of package fraudhub.v1.
void Redact(const AudienceSet& audiences, google::protobuf::Message* message);

void ToProto(const model::Event& event, fraudhub::v1::Event* out);            // everything; redact before sending
void ToProto(const model::IndicatorState& state, fraudhub::v1::Indicator* out);  // likewise
void ToProto(const model::Filter& filter, fraudhub::v1::Filter* out);

// One element of SubscribeResponse.events with its field tag and length in front, redacted: concatenations of such slices are a
// valid SubscribeResponse. `left_view`: key and version only.
std::string EncodeEventSlice(const model::Event& event, const AudienceSet& audiences, bool left_view);
// Likewise one element of SubscribeResponse.urgent: the event, and where it stands in its place.
std::string EncodeUrgentSlice(const model::Event& event, int32_t partition, int64_t position, const AudienceSet& audiences,
                              bool left_view);
// What a batch says about the snapshot that runs through its stream.
struct SnapshotMark {
  bool begins = false;
  bool ends = false;
  uint32_t parts_sent = 0;
  uint32_t parts = 0;  // 0: says nothing
  std::string token;   // empty: none in this batch
};
// The rest of a batch: positions, and progress when `token` is not empty. Concatenate after the slices.
struct BatchTrailer {
  std::vector<std::pair<int32_t, int64_t>> positions;
  std::vector<std::pair<int32_t, int64_t>> urgent_positions;
  std::string token;                                    // empty: no progress mark in this batch
  absl::Time complete_until = absl::InfinitePast();
  int64_t records_behind = 0;
  absl::Time hub_time = absl::InfinitePast();
  SnapshotMark snapshot;
};
std::string EncodeBatchTrailer(const BatchTrailer& trailer);

// Fields of fraudhub.v1 messages that lack (visible_to); the build runs this and fails when there are any.
std::vector<std::string> FieldsWithoutAudience();

// --- files ------------------------------------------------------------------------------------------------------

// Text format into any config message; every problem is listed ("line 3: unknown field ..."), unknown keys are errors.
// `overrides`: "path.to.field=value".
std::vector<std::string> ParseTextConfig(absl::string_view text, const std::vector<std::string>& overrides,
                                         google::protobuf::Message* out);
std::string PrintTextConfig(const google::protobuf::Message& message);

// Parsed and validated as a whole; all problems at once, one a line, in the InvalidArgument's message.
absl::StatusOr<model::Rules> ParseRules(absl::string_view text);
absl::StatusOr<model::PolicySpec> ParsePolicy(absl::string_view text);

}  // namespace hub::wire

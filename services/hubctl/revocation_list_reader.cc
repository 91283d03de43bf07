#include "services/hubctl/revocation_list_reader.h"

#include <rapidjson/error/en.h>
#include <rapidjson/reader.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/check.h"
#include "libs/model/refusal.h"

namespace hub::hubctl {
namespace {

constexpr absl::string_view kPayload = "payload";

// What RapidJSON reads from: counts lines, and pretends that the input ends when one token grows beyond any sense.
class CountingStream {
 public:
  using Ch = char;

  CountingStream(std::istream* in, BytesRead bytes_read) : in_(in->rdbuf()), bytes_read_(bytes_read) {
    for (const int expected : {0xEF, 0xBB, 0xBF}) {  // a BOM
      if (in_->sgetc() != expected) break;
      in_->sbumpc();
    }
  }

  Ch Peek() const {
    if (too_long()) return '\0';
    const int c = in_->sgetc();
    return c == EOF ? '\0' : static_cast<Ch>(c);
  }
  Ch Take() {
    const Ch c = Peek();
    if (too_long() || in_->sbumpc() == EOF) return '\0';
    ++position_;
    if ((position_ & 0xFFF) == 0 && bytes_read_ != nullptr) bytes_read_->store(position_, std::memory_order_relaxed);
    if (c == '\n') {
      ++line_;
      line_begin_ = position_;
    }
    return c;
  }
  size_t Tell() const { return position_; }
  // For writing in place, which this never does.
  Ch* PutBegin() { return NoWriting(); }
  void Put(Ch) { NoWriting(); }
  void Flush() { NoWriting(); }
  size_t PutEnd(Ch*) {
    NoWriting();
    return 0;
  }

  // A token begins or ends here.
  void Mark() { mark_ = position_; }
  bool too_long() const { return position_ - mark_ > kJsonTokenBytesMax; }
  bool at_end() const { return in_->sgetc() == EOF; }
  uint64_t line() const { return line_; }
  uint64_t column() const { return position_ - line_begin_ + 1; }

 private:
  static Ch* NoWriting() { base::CheckFailed(__FILE__, __LINE__, "the stream is for reading"); }

  std::streambuf* const in_;
  const BytesRead bytes_read_;
  size_t position_ = 0;
  size_t mark_ = 0;
  uint64_t line_ = 1;
  size_t line_begin_ = 0;
};

// Depth 1 is the root object, 2 the payload's array, 3 an item.
class ListHandler : public rapidjson::BaseReaderHandler<rapidjson::UTF8<>, ListHandler> {
 public:
  ListHandler(const std::vector<std::string>& keys, CountingStream* stream, const RowSink& sink)
      : keys_(keys), stream_(stream), sink_(sink), fields_(keys.size()) {}

  bool Default() { return Scalar({}); }  // null, true, false
  bool String(const char* text, rapidjson::SizeType size, bool) { return Scalar({text, size}); }
  bool RawNumber(const char* text, rapidjson::SizeType size, bool) { return Scalar({text, size}); }

  bool StartObject() {
    stream_->Mark();
    if (depth_ == 2 && in_payload_) {
      item_line_ = stream_->line();
      in_item_ = true;
      fields_.assign(keys_.size(), "");
    }
    if (depth_ == 0) root_is_object_ = true;
    return ++depth_ <= kJsonDepthMax;
  }
  bool Key(const char* text, rapidjson::SizeType size, bool) {
    stream_->Mark();
    const absl::string_view key(text, size);
    if (depth_ == 1) at_payload_ = root_is_object_ && key == kPayload;
    if (depth_ == 3 && in_item_) key_ = static_cast<size_t>(std::find(keys_.begin(), keys_.end(), key) - keys_.begin());
    return true;
  }
  bool EndObject(rapidjson::SizeType) {
    stream_->Mark();
    if (--depth_ != 2 || !in_item_) return true;
    in_item_ = false;
    absl::Status problem;
    if (fields_[0].empty()) {
      problem = model::Refuse(model::RefusalCode::kMissing, "identifier.value",
                              absl::StrCat("want a member '", keys_[0], "'"));
    }
    return Emit(std::move(fields_), item_line_, std::move(problem));
  }
  bool StartArray() {
    stream_->Mark();
    if (depth_ == 2 && in_payload_ && !BadItem()) return false;
    if (depth_ == 1 && at_payload_) in_payload_ = saw_payload_ = true;
    return ++depth_ <= kJsonDepthMax;
  }
  bool EndArray(rapidjson::SizeType) {
    stream_->Mark();
    if (--depth_ == 1) in_payload_ = false;
    return true;
  }

  bool saw_payload() const { return saw_payload_; }
  bool too_deep() const { return depth_ > kJsonDepthMax; }
  const absl::Status& sink_status() const { return sink_status_; }

 private:
  bool Scalar(absl::string_view text) {
    stream_->Mark();
    if (depth_ == 2 && in_payload_) return BadItem();
    if (depth_ == 3 && in_item_ && key_ < keys_.size()) fields_[key_] = std::string(text);
    return true;
  }
  bool BadItem() {
    return Emit(std::vector<std::string>(keys_.size()), stream_->line(),
                model::Refuse(model::RefusalCode::kBadFormat, "", "want an object"));
  }
  bool Emit(std::vector<std::string> fields, uint64_t line, absl::Status problem) {
    SourceRow row;
    row.number = ++rows_;
    row.line = line;
    row.fields = std::move(fields);
    row.problem = std::move(problem);
    sink_status_ = sink_(std::move(row));
    return sink_status_.ok();
  }

  const std::vector<std::string>& keys_;
  CountingStream* const stream_;
  const RowSink& sink_;
  int depth_ = 0;
  bool root_is_object_ = false;
  bool at_payload_ = false;
  bool in_payload_ = false;
  bool saw_payload_ = false;
  bool in_item_ = false;
  size_t key_ = 0;
  std::vector<std::string> fields_;
  uint64_t item_line_ = 0;
  uint64_t rows_ = 0;
  absl::Status sink_status_;
};

}  // namespace

absl::Status RevocationListReader::ReadRows(const RowSink& sink) {
  HUB_CHECK(!keys_.empty());
  CountingStream stream(in_, bytes_read_);
  ListHandler handler(keys_, &stream, sink);
  rapidjson::Reader reader;
  // Iterative: depth costs no stack. Numbers as written: 5551234567 and "5551234567" are the same.
  constexpr unsigned kFlags =
      rapidjson::kParseIterativeFlag | rapidjson::kParseValidateEncodingFlag | rapidjson::kParseNumbersAsStringsFlag;
  const rapidjson::ParseResult result = reader.Parse<kFlags>(stream, handler);
  if (!handler.sink_status().ok()) return handler.sink_status();
  if (in_->bad()) return absl::DataLossError("the file can't be read further");
  std::string problem;
  if (stream.too_long()) {
    problem = absl::StrCat("a text is longer than ", kJsonTokenBytesMax, " bytes");
  } else if (handler.too_deep()) {
    problem = absl::StrCat("is nested deeper than ", kJsonDepthMax);
  } else if (result.IsError() && stream.at_end()) {
    problem = absl::StrCat("the file ends in the middle (", rapidjson::GetParseError_En(result.Code()), ")");
  } else if (result.IsError()) {
    problem = rapidjson::GetParseError_En(result.Code());
  } else if (!handler.saw_payload()) {
    problem = "want {\"payload\":[{\"n\":\"...\"}, ...]}";
  }
  if (problem.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("line ", stream.line(), ", column ", stream.column(), ": ", problem));
}

}  // namespace hub::hubctl

#include "services/hubctl/csv_reader.h"

#include <csv.h>

#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/check.h"
#include "libs/base/status_macros.h"
#include "libs/model/refusal.h"

namespace hub::hubctl {
namespace {

constexpr absl::string_view kByteOrderMark = "\xEF\xBB\xBF";

}  // namespace

// libcsv, fed line by line, in strict mode: what isn't CSV is an error and no guess.
class CsvReader::Parser {
 public:
  explicit Parser(char delimiter) : delimiter_(delimiter) { Init(); }
  ~Parser() { csv_free(&parser_); }
  Parser(const Parser&) = delete;
  Parser& operator=(const Parser&) = delete;

  enum class State { kMore, kRow, kBroken };
  // After kRow, fields() holds the row; after kBroken, `column` is where it broke, and Reset is due.
  State Feed(const std::string& text, size_t* column) {
    row_ended_ = false;
    const size_t parsed = csv_parse(&parser_, text.data(), text.size(), OnField, OnRow, this);
    if (parsed != text.size()) {
      *column = parsed + 1;
      return State::kBroken;
    }
    return row_ended_ ? State::kRow : State::kMore;
  }
  // Nothing of a row has been read.
  bool between_rows() const { return fields_.empty() && parser_.pstate == 0; }
  std::vector<std::string> TakeFields() { return std::exchange(fields_, {}); }
  void Reset() {
    csv_free(&parser_);
    fields_.clear();
    Init();
  }

 private:
  void Init() {
    HUB_CHECK(csv_init(&parser_, CSV_STRICT | CSV_STRICT_FINI) == 0);
    csv_set_delim(&parser_, static_cast<unsigned char>(delimiter_));
  }
  static void OnField(void* text, size_t size, void* self) {
    static_cast<Parser*>(self)->fields_.emplace_back(static_cast<const char*>(text), size);
  }
  static void OnRow(int, void* self) { static_cast<Parser*>(self)->row_ended_ = true; }

  const char delimiter_;
  csv_parser parser_;
  std::vector<std::string> fields_;
  bool row_ended_ = false;
};

CsvReader::CsvReader(std::istream* in, char delimiter, BytesRead bytes_read)
    : in_(in), bytes_read_(bytes_read), parser_(std::make_unique<Parser>(delimiter)) {}

CsvReader::~CsvReader() = default;

absl::StatusOr<std::vector<std::string>> CsvReader::ReadHeader() {
  Record record;
  if (!NextRecord(&record)) return absl::InvalidArgumentError("line 1, column 1: is empty, want a header");
  if (!record.problem.empty())
    return absl::InvalidArgumentError(absl::StrCat("line ", record.line, ", ", record.problem));
  std::set<std::string> seen;
  for (std::string& name : record.fields) {
    name = std::string(absl::StripAsciiWhitespace(name));
    if (!IsUtf8(name)) {
      return absl::InvalidArgumentError(
          absl::StrCat("line ", record.line, ": the header is not UTF-8 (save the file as UTF-8)"));
    }
    if (!name.empty() && !seen.insert(absl::AsciiStrToLower(name)).second) {
      return absl::InvalidArgumentError(absl::StrCat("line ", record.line, ": column '", name, "' comes twice"));
    }
  }
  header_ = std::move(record.fields);
  return header_;
}

absl::Status CsvReader::ReadRows(const RowSink& sink) {
  Record record;
  while (NextRecord(&record)) {
    SourceRow row;
    row.number = ++rows_;
    row.line = record.line;
    row.fields = std::move(record.fields);
    if (!record.problem.empty()) {
      row.problem = model::Refuse(model::RefusalCode::kBadFormat, "", record.problem);
    } else if (row.fields.size() != header_.size()) {
      row.problem =
          model::Refuse(model::RefusalCode::kBadFormat, "",
                        absl::StrCat("want ", header_.size(), " columns as in the header, has ", row.fields.size()));
    } else {
      row.problem = CheckUtf8(row.fields, header_);
    }
    HUB_RETURN_IF_ERROR(sink(std::move(row)));
    record = {};
  }
  if (in_->bad()) return absl::DataLossError(absl::StrCat("line ", lines_, ": the file can't be read further"));
  return absl::OkStatus();
}

// One record, good or bad; false at the end.
bool CsvReader::NextRecord(Record* record) {
  std::deque<Line> lines;
  size_t size = 0;
  Line line;
  while (NextLine(&line)) {
    if (lines.empty() && line.number == 1 && absl::StartsWith(line.text, kByteOrderMark))
      line.text.erase(0, kByteOrderMark.size());
    size += line.text.size();
    lines.push_back(line);
    record->line = lines.front().number;
    size_t column = 0;
    if (!line.complete || size > kCsvRowBytesMax) {
      record->problem = absl::StrCat("is longer than ", kCsvRowBytesMax, " bytes: an unclosed quote?");
      Recover(std::move(lines));
      return true;
    }
    switch (parser_->Feed(line.text, &column)) {
      case Parser::State::kRow:
        record->fields = parser_->TakeFields();
        return true;
      case Parser::State::kBroken:
        record->problem =
            absl::StrCat("column ", column, lines.size() > 1 ? absl::StrCat(" of line ", line.number) : "",
                         ": a quote where none may be");
        record->fields = parser_->TakeFields();
        Recover(std::move(lines));
        return true;
      case Parser::State::kMore:
        if (parser_->between_rows()) {  // an empty line
          lines.clear();
          size = 0;
        }
    }
  }
  if (lines.empty()) return false;
  record->problem = "the quote that begins here is never closed";
  record->fields = parser_->TakeFields();
  Recover(std::move(lines));
  return true;
}

// The first line of a broken row is given up; the others may be good rows.
void CsvReader::Recover(std::deque<Line> lines) {
  parser_->Reset();
  lines.pop_front();
  again_.insert(again_.begin(), std::make_move_iterator(lines.begin()), std::make_move_iterator(lines.end()));
}

bool CsvReader::NextLine(Line* line) {
  if (again_.empty()) return ReadLine(line);
  *line = std::move(again_.front());
  again_.pop_front();
  return true;
}

// Ends at LF, CR LF or a CR alone; the last line gets the LF it may lack.
bool CsvReader::ReadLine(Line* line) {
  *line = {};
  int c = Get();
  if (c == EOF) return false;
  line->number = ++lines_;
  while (c != EOF && c != '\n' && c != '\r') {
    if (line->text.size() <= kCsvRowBytesMax) {
      line->text += static_cast<char>(c);
    } else {
      line->complete = false;
    }
    c = Get();
  }
  if (c == '\r' && in_->peek() == '\n') {
    Get();
    line->text += '\r';
  }
  line->text += '\n';
  return true;
}

int CsvReader::Get() {
  const int c = in_->rdbuf()->sbumpc();
  if (c == EOF) {
    in_->setstate(std::ios::eofbit);
  } else if (bytes_read_ != nullptr) {
    bytes_read_->fetch_add(1, std::memory_order_relaxed);
  }
  return c;
}

}  // namespace hub::hubctl

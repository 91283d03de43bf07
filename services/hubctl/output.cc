#include "services/hubctl/output.h"

#include <google/protobuf/message.h>
#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "fraudhub/v1/vocabulary.pb.h"
#include "services/hubctl/words.h"

namespace hub::hubctl {
namespace {

constexpr char kReset[] = "\x1b[0m";
constexpr char kBold[] = "\x1b[1m";
constexpr size_t kGap = 2;     // between columns
constexpr size_t kIndent = 4;  // of lines that go on

const char* CodeOf(Tone tone) {
  switch (tone) {
    case Tone::kPlain:
      return "";
    case Tone::kDim:
      return "\x1b[2m";
    case Tone::kNote:
      return "\x1b[36m";
    case Tone::kWarn:
      return "\x1b[33m";
    case Tone::kAlarm:
      return "\x1b[1;31m";
  }
  return "";
}

// Code points, near enough to columns for what the hub prints.
size_t WidthOf(const std::string& text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

std::string Escaped(const std::string& text) {
  std::string safe;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    // C1 controls are 0xC2 0x80 to 0xC2 0x9F in UTF-8.
    const bool c1 = c == 0xC2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xA0;
    if (c1) {
      absl::StrAppendFormat(&safe, "\\x%02x", static_cast<unsigned char>(text[++i]));
    } else if (c < 0x20 || c == 0x7F) {
      absl::StrAppendFormat(&safe, "\\x%02x", c);
    } else {
      safe += text[i];
    }
  }
  return safe;
}

std::string CsvTitle(const std::string& title) {
  return absl::StrReplaceAll(absl::AsciiStrToLower(title), {{" ", "_"}});
}

}  // namespace

Output::Output(const OutputStyle& style, std::vector<Column> columns, std::ostream* out)
    : style_(style), columns_(std::move(columns)), out_(out) {}

void Output::Row(std::vector<Cell> cells, const google::protobuf::Message& message) {
  Row(std::move(cells), style_.form == OutputForm::kJson ? ToJson(message) : std::string());
}

void Output::Row(std::vector<Cell> cells, const std::string& json) {
  cells.resize(columns_.size());
  std::vector<size_t> widths;
  for (const Column& column : columns_) widths.push_back(std::max(column.width, WidthOf(column.title)));
  if (style_.form == OutputForm::kJson) {
    *out_ << json << '\n';
  } else if (style_.form == OutputForm::kCsv) {
    PrintHeader(widths);
    for (size_t i = 0; i < cells.size(); ++i) *out_ << (i == 0 ? "" : ",") << CsvField(cells[i].text);
    *out_ << '\n';
  } else if (style_.streamed) {
    PrintHeader(widths);
    PrintTableRow(cells, widths);
  } else {
    for (Cell& cell : cells) cell.text = Escaped(cell.text);
    waiting_.push_back(std::move(cells));
    return;
  }
  if (style_.streamed) out_->flush();
}

void Output::End() {
  if (style_.form == OutputForm::kJson) return;
  std::vector<size_t> widths;
  for (size_t i = 0; i < columns_.size(); ++i) {
    size_t width = std::max(columns_[i].width, WidthOf(columns_[i].title));
    for (const auto& row : waiting_) width = std::max(width, WidthOf(row[i].text));
    widths.push_back(width);
  }
  PrintHeader(widths);
  for (const auto& row : waiting_) PrintTableRow(row, widths);
  waiting_.clear();
  out_->flush();
}

void Output::PrintHeader(const std::vector<size_t>& widths) {
  if (header_printed_) return;
  header_printed_ = true;
  if (style_.form == OutputForm::kCsv) {
    for (size_t i = 0; i < columns_.size(); ++i) *out_ << (i == 0 ? "" : ",") << CsvField(CsvTitle(columns_[i].title));
    *out_ << '\n';
    return;
  }
  std::vector<Cell> titles;
  for (const Column& column : columns_) titles.push_back({absl::AsciiStrToUpper(column.title)});
  if (style_.color) *out_ << kBold;
  PrintTableRow(titles, widths);
  if (style_.color) *out_ << kReset;
}

std::vector<bool> Output::Breaks(const std::vector<size_t>& widths) const {
  std::vector<bool> breaks(widths.size(), false);
  if (style_.columns_max == 0) return breaks;
  size_t used = 0;
  for (size_t i = 0; i < widths.size(); ++i) {
    if (used > 0 && used + widths[i] > style_.columns_max) {
      breaks[i] = true;
      used = kIndent;
    }
    used += widths[i] + kGap;
  }
  return breaks;
}

void Output::PrintTableRow(const std::vector<Cell>& cells, const std::vector<size_t>& widths) {
  const std::vector<bool> breaks = Breaks(widths);
  size_t blanks = 0;  // before the next cell: none are left at the end of a line
  bool any = false;
  for (size_t i = 0; i < cells.size(); ++i) {
    if (breaks[i]) {
      if (any || i == 0) *out_ << '\n';
      any = false;
      blanks = kIndent;
    }
    const std::string text = style_.streamed ? Escaped(cells[i].text) : cells[i].text;
    if (!text.empty()) {
      const bool painted = style_.color && cells[i].tone != Tone::kPlain;
      *out_ << std::string(blanks, ' ') << (painted ? CodeOf(cells[i].tone) : "") << text << (painted ? kReset : "");
      any = true;
      blanks = 0;
    }
    const size_t width = WidthOf(text);
    blanks += (width < widths[i] ? widths[i] - width : 0) + kGap;
  }
  if (any || cells.empty()) *out_ << '\n';
}

std::string ToJson(const google::protobuf::Message& message) {
  std::string json;
  if (!google::protobuf::util::MessageToJsonString(message, &json).ok()) return "{}";
  return json;
}

std::string CsvField(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  return absl::StrCat("\"", absl::StrReplaceAll(text, {{"\"", "\"\""}}), "\"");
}

std::string JsonString(const std::string& text) {
  std::string json = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      json += '\\';
      json += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      absl::StrAppendFormat(&json, "\\u%04x", static_cast<unsigned char>(c));
    } else {
      json += c;
    }
  }
  return json + "\"";
}

Cell LevelCell(int level) {
  const std::string word = Word(fraudhub::v1::Level_descriptor(), level);
  switch (level) {
    case fraudhub::v1::LEVEL_VERY_HIGH:
      return {word, Tone::kAlarm};
    case fraudhub::v1::LEVEL_HIGH:
      return {word, Tone::kWarn};
    case fraudhub::v1::LEVEL_MEDIUM:
      return {word, Tone::kNote};
    default:
      return {word, Tone::kDim};
  }
}

void PrintTitle(const std::string& title, bool color, std::ostream* out) {
  *out << (color ? kBold : "") << Escaped(title) << (color ? kReset : "") << '\n';
}

}  // namespace hub::hubctl

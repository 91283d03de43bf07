// What a command prints: a table for people, CSV or the API's JSON (one object a line) for programs.
//
// Columns keep their order in all forms. In a table that is too wide for the terminal each row goes on in further lines, indented, and so
// does the header. A table waits for its last row to know its widths, unless it is streamed: then the given widths
// hold and each row is out at once. Text from the hub can't move the cursor: control characters are escaped in tables.
// Thread safety: one thread.
//
//   Output output({.form = env.form, .color = env.color}, {{"Identifier"}, {"Level"}}, env.out);
//   output.Row({{id}, {"HIGH", Tone::kWarn}}, result);
//   output.End();
#pragma once

#include <cstddef>
#include <ostream>
#include <string>
#include <vector>

namespace google::protobuf {
class Message;
}

namespace hub::hubctl {

enum class OutputForm { kTable, kJson, kCsv };
enum class Tone { kPlain, kDim, kNote, kWarn, kAlarm };

struct OutputStyle {
  OutputForm form = OutputForm::kTable;
  bool color = false;
  bool streamed = false;
  size_t columns_max = 0;  // of the terminal; 0: no bound
};

struct Column {
  std::string title;  // "Last seen"; in CSV "last_seen"
  size_t width = 0;   // at least; streamed tables: exactly, unless a cell is longer
};

struct Cell {
  std::string text;
  Tone tone = Tone::kPlain;
};

class Output {
 public:
  Output(const OutputStyle& style, std::vector<Column> columns, std::ostream* out);
  // One object: `message` is printed in JSON, the cells in the other forms.
  void Row(std::vector<Cell> cells, const google::protobuf::Message& message);
  // The same, for what is no message of the API; `json` is one line.
  void Row(std::vector<Cell> cells, const std::string& json);
  // Prints what waits; no rows after it.
  void End();

 private:
  void PrintTableRow(const std::vector<Cell>& cells, const std::vector<size_t>& widths);
  void PrintHeader(const std::vector<size_t>& widths);
  // Which columns begin a further line: the terminal's width decides.
  std::vector<bool> Breaks(const std::vector<size_t>& widths) const;

  const OutputStyle style_;
  const std::vector<Column> columns_;
  std::ostream* const out_;
  bool header_printed_ = false;
  std::vector<std::vector<Cell>> waiting_;
};

std::string ToJson(const google::protobuf::Message& message);
std::string CsvField(const std::string& text);  // quoted where RFC 4180 asks for it
std::string JsonString(const std::string& text);
// Level words in their colours.
Cell LevelCell(int level);
// A title in bold when in colour, for commands that print several parts.
void PrintTitle(const std::string& title, bool color, std::ostream* out);

}  // namespace hub::hubctl

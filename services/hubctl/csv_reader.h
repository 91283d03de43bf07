// CSV as RFC 4180 has it (UTF-8, a BOM is accepted, any line ends), read as a stream: memory is bounded by one row.
//
// A row that is no CSV (a stray or unclosed quote, the wrong number of columns, no UTF-8, longer than kCsvRowBytesMax) goes to the
// sink with its problem, and reading goes on with the line after the one where it began: nothing else is lost. Empty lines are
// skipped; blanks around unquoted fields too. Thread safety: one thread.
//
//   CsvReader reader(&file, ',', nullptr);
//   HUB_ASSIGN_OR_RETURN(const std::vector<std::string> header, reader.ReadHeader());
//   HUB_RETURN_IF_ERROR(reader.ReadRows([](SourceRow row) { ... }));
#pragma once

#include <cstddef>
#include <deque>
#include <istream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "services/hubctl/source_row.h"

namespace hub::hubctl {

inline constexpr size_t kCsvRowBytesMax = 64 << 10;  // longer: most likely an unclosed quote

class CsvReader {
 public:
  // `in` must outlive it.
  CsvReader(std::istream* in, char delimiter, BytesRead bytes_read);
  ~CsvReader();

  // The names of the columns. InvalidArgument with line and column: no header, not UTF-8, names that come twice.
  absl::StatusOr<std::vector<std::string>> ReadHeader();
  // REQUIRES: ReadHeader has returned OK. The sink's error, or DataLoss when the file can't be read to its end.
  absl::Status ReadRows(const RowSink& sink);

 private:
  struct Line {
    uint64_t number = 0;
    std::string text;      // with its end
    bool complete = true;  // false: longer than a row may be, the rest was skipped
  };
  struct Record {
    uint64_t line = 0;
    std::vector<std::string> fields;
    std::string problem;  // empty: good
  };
  class Parser;

  bool NextLine(Line* line);
  bool ReadLine(Line* line);
  int Get();
  bool NextRecord(Record* record);
  void Recover(std::deque<Line> lines);

  std::istream* const in_;
  const BytesRead bytes_read_;
  std::unique_ptr<Parser> parser_;
  std::vector<std::string> header_;
  std::deque<Line> again_;  // lines of a broken row but its first: read once more
  uint64_t lines_ = 0;
  uint64_t rows_ = 0;
};

}  // namespace hub::hubctl

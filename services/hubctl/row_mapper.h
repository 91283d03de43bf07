// Makes a report of a row: a column map bound to the header of one file.
//
// Thread safety: immutable.
//
//   HUB_ASSIGN_OR_RETURN(const RowMapper mapper, RowMapper::Bind(map, header, "file-...", default_observed_at));
//   absl::Status refused = mapper.Fill(row, &report);
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "services/hubctl/column_map.h"
#include "services/hubctl/source_row.h"

namespace fraudhub::v1 {
class Report;
}

namespace hub::hubctl {

// The report id of a row: the same for the same list and row, however often it is sent.
std::string RowReportId(const std::string& list_id, uint64_t row_number);

class RowMapper {
 public:
  // InvalidArgument: columns of the map that the header lacks (all of them), a file without identifier or kind.
  static absl::StatusOr<RowMapper> Bind(ColumnMap map, const std::vector<std::string>& header, std::string list_id,
                                        absl::Time default_observed_at);
  // A refusal (code, field, message) that never repeats the row. REQUIRES: row.problem.ok().
  absl::Status Fill(const SourceRow& row, fraudhub::v1::Report* report) const;

 private:
  RowMapper() = default;

  struct Bound {
    size_t column = 0;
    ReportField field{};
  };
  ColumnMap map_;
  std::shared_ptr<const fraudhub::v1::Report> constants_;  // what every row starts from
  std::vector<Bound> columns_;
  std::string list_id_;
  absl::Time default_observed_at_;
};

}  // namespace hub::hubctl

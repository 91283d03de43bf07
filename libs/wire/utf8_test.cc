// Which texts of a message are not UTF-8, by their paths.
#include "libs/wire/utf8.h"

#include <string>

#include "fraudhub/v1/report.pb.h"
#include "libs/model/refusal.h"
#include "tests/catch.h"

namespace hub::wire {
namespace {

std::string BadField(const google::protobuf::Message& message) {
  const absl::Status status = CheckUtf8(message);
  if (status.ok()) return "";
  CHECK(absl::IsInvalidArgument(status));
  REQUIRE(model::RefusalOf(status).has_value());
  CHECK(model::RefusalOf(status)->code == model::RefusalCode::kBadCharacter);
  return model::RefusalOf(status)->field;
}

TEST_CASE("The first text of a message that is not UTF-8 is named by its path", "[wire][utf8]") {
  fraudhub::v1::SubmitReportsRequest request;
  CHECK(BadField(request).empty());
  for (int i = 0; i < 3; ++i) {
    fraudhub::v1::Report* report = request.add_reports();
    report->set_report_id("\u0915");
    report->mutable_identifier()->set_value(std::string("a\0b", 3));  // not plain, but it travels
    report->mutable_observed_at()->set_seconds(1);
  }
  CHECK(BadField(request).empty());
  request.mutable_reports(2)->mutable_identifier()->set_value("caf\xE9");
  CHECK(BadField(request) == "reports[2].identifier.value");
  request.mutable_reports(1)->mutable_correction()->set_note_code("\xED\xA0\x80");  // a surrogate
  CHECK(BadField(request) == "reports[1].correction.note_code");
  request.mutable_reports(0)->set_list_id("\xC0\xAF");  // overlong
  CHECK(BadField(request) == "reports[0].list_id");
  fraudhub::v1::GetReportStatusRequest status;
  status.add_report_ids("good");
  status.add_report_ids("\xF4\x90\x80\x80");  // beyond Unicode
  CHECK(BadField(status) == "report_ids[1]");
}

}  // namespace
}  // namespace hub::wire

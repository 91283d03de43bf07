// A citizens' portal on the C++ library: keeps reports in an outbox, sends them until the hub has them, and asks what became of them.
//
//   sample-portal --outbox DIR add KIND TYPE VALUE [CITIZEN]     KIND: SUSPECTED_COMMUNICATION, NOT_MY_CONNECTION, ...
//   sample-portal --outbox DIR add -                             one such line each
//   sample-portal --outbox DIR --server HOST:PORT --identity DIR send
//   sample-portal --outbox DIR --server HOST:PORT --identity DIR status REPORT_ID...
//
// What makes it safe is the library's Reporter: a report has its id, and is on disk, before anything else happens.
#include <google/protobuf/util/time_util.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "fraudhub/reporter.h"
#include "fraudhub/v1/report.pb.h"

namespace {

namespace v1 = fraudhub::v1;

struct Arguments {
  std::string outbox;
  fraudhub::ReporterOptions options;
  int batch = 0;
  std::vector<std::string> words;
};

// False: not such a line.
bool ReadReport(const std::string& line, v1::Report* report) {
  std::istringstream words(line);
  std::string kind, type, value, citizen;
  words >> kind >> type >> value >> citizen;
  v1::InputKind kind_number;
  v1::IdentifierType type_number;
  if (!v1::InputKind_Parse("INPUT_KIND_" + kind, &kind_number)) return false;
  if (!v1::IdentifierType_Parse("IDENTIFIER_TYPE_" + type, &type_number)) return false;
  report->set_report_id(fraudhub::NewReportId());  // once: every retry carries it
  report->set_kind(kind_number);
  report->mutable_identifier()->set_type(type_number);
  report->mutable_identifier()->set_value(value);
  if (type_number == v1::IDENTIFIER_TYPE_MOBILE) report->mutable_identifier()->set_line_kind(v1::LINE_KIND_MOBILE);
  report->set_citizen_pseudonym(citizen);  // keyed by the portal; never a name or a number
  *report->mutable_observed_at() = google::protobuf::util::TimeUtil::GetCurrentTime();
  return true;
}

fraudhub::Status Add(fraudhub::Reporter* reporter, const std::vector<std::string>& words) {
  std::stringstream lines;
  if (words == std::vector<std::string>{"-"}) {
    lines << std::cin.rdbuf();
  } else {
    for (const std::string& word : words) lines << word << ' ';
  }
  std::vector<v1::Report> reports;
  for (std::string line; std::getline(lines, line);) {
    if (!ReadReport(line, &reports.emplace_back())) {
      return {.code = fraudhub::Code::kInvalidArgument, .message = "want KIND TYPE VALUE [CITIZEN]"};
    }
  }
  fraudhub::Status added = reporter->Add(reports);
  // From here on they are safe, whatever happens to us.
  for (const v1::Report& report : reports) {
    if (added.ok()) std::cout << report.report_id() << '\n';
  }
  return added;
}

fraudhub::Status ShowStatus(fraudhub::Reporter* reporter, const std::vector<std::string>& ids) {
  const fraudhub::Result<std::vector<v1::ReportStatus>> statuses = reporter->GetStatus(ids);
  if (!statuses.ok()) return statuses.status();
  for (const v1::ReportStatus& status : *statuses) {
    std::cout << status.report_id() << ' ' << v1::Outcome_Name(status.outcome()) << ' '
              << v1::Level_Name(status.level_then()) << (status.corrected_since() ? " corrected since" : "") << '\n';
  }
  return {};
}

fraudhub::Status Run(const std::string& command, const Arguments& arguments) {
  fraudhub::ReporterOptions options = arguments.options;
  options.sending = command == "send";
  if (arguments.batch > 0) options.batch_size = options.in_flight_max = arguments.batch;
  auto reporter = fraudhub::Reporter::Open(arguments.outbox, options, [](const v1::ReportVerdict& verdict) {
    std::cout << verdict.report_id();
    if (verdict.verdict() == v1::VERDICT_ACCEPTED) {
      std::cout << " ACCEPTED" << std::endl;
    } else {
      std::cout << " REJECTED " << v1::ErrorReason_Name(verdict.error()) << ' ' << verdict.field() << std::endl;
    }
  });
  if (!reporter.ok()) return reporter.status();
  if (command == "add") return Add(&*reporter, arguments.words);
  if (command == "status") return ShowStatus(&*reporter, arguments.words);
  return reporter->Flush();
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  fraudhub::Connection& connection = arguments.options.connection;
  connection.server = "localhost:7443";
  std::string command;
  CLI::App app("A citizens' portal: outbox, sending, status.");
  app.add_option("--outbox", arguments.outbox, "Folder of the outbox")->required();
  app.add_option("--server", connection.server, "host:port");
  app.add_option("--identity", connection.identity_dir, "Folder with cert.pem, key.pem, ca.pem");
  app.add_option("--batch", arguments.batch,
                 "send: so many reports at a time, at most 1,000; many messages of 500 by default");
  app.add_option("COMMAND", command, "add, send or status")
      ->required()
      ->check(CLI::IsMember({"add", "send", "status"}));
  app.add_option("WORDS", arguments.words, "What it needs");
  CLI11_PARSE(app, argc, argv);
  const fraudhub::Status status = Run(command, arguments);
  if (!status.ok()) std::cerr << "sample-portal: " << status.ToString() << '\n';
  return status.ok() ? 0 : 1;
}

// A police unit on the C++ library: follows what concerns it, one event a line as JSON. It keeps no state: the hub keeps its place under
// the cursor's name, and moves it when an event has been handled, which here means printed.
//
//   sample-police --server HOST:PORT --identity DIR --cursor desk-1 --state MH --min-level HIGH
#include <google/protobuf/util/json_util.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <iostream>
#include <string>
#include <vector>

#include "fraudhub/subscriber.h"
#include "fraudhub/v1/subscription.pb.h"

namespace v1 = fraudhub::v1;

int main(int argc, char** argv) {
  fraudhub::SubscriberOptions options;
  options.connection.server = "localhost:7443";
  options.client_id = "sample-police";
  options.start = fraudhub::StreamStart::kEarliest;  // a new cursor begins with the last state of everything
  std::vector<std::string> states, circles, cases;
  std::string level_min;
  CLI::App app("A police unit: follows what concerns it.");
  app.add_option("--server", options.connection.server, "host:port");
  app.add_option("--identity", options.connection.identity_dir, "Folder with cert.pem, key.pem, ca.pem");
  app.add_option("--cursor", options.cursor, "A name for this desk; one stream at a time has it")->required();
  app.add_option("--state", states, "Victims' state: MH");
  app.add_option("--circle", circles, "Telecom circle that issued the number: MU");
  app.add_option("--case", cases, "Case references");
  app.add_option("--min-level", level_min, "MEDIUM, HIGH, VERY_HIGH");
  CLI11_PARSE(app, argc, argv);

  v1::Filter filter;
  v1::FilterClause* clause = filter.add_any_of();
  for (const std::string& state : states) clause->add_victim_states(state);
  for (const std::string& circle : circles) clause->add_circles_of_issue(circle);
  for (const std::string& one : cases) clause->add_case_refs(one);
  v1::Level level = v1::LEVEL_UNSPECIFIED;
  if (!level_min.empty() && !v1::Level_Parse("LEVEL_" + level_min, &level)) {
    std::cerr << "sample-police: --min-level: want MEDIUM, HIGH or VERY_HIGH\n";
    return 2;
  }
  clause->set_level_min(level);

  fraudhub::SubscriberHandlers handlers;
  handlers.on_event = [](const v1::Event& event) {
    // Case references, links and victims' states are in here: fields that only law enforcement is sent.
    std::string json;
    if (!google::protobuf::util::MessageToJsonString(event, &json).ok()) return false;
    std::cout << json << std::endl;
    return std::cout.good();  // false: not handled; it comes again, after a pause
  };
  handlers.on_disconnected = [](const fraudhub::Status& why, std::chrono::milliseconds) {
    std::cerr << "stream ended, trying again: " << why.ToString() << std::endl;
  };
  // Until we are ended, or the hub says what no retry cures: another stream has the cursor, a right is missing.
  const fraudhub::Status end = fraudhub::Subscriber::Run(options, filter, handlers, {});
  std::cerr << "sample-police: " << end.ToString() << '\n';
  return 1;
}

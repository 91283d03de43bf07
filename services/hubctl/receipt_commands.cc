// received: who has been told of an urgent event, who has confirmed it, who has not.
#include <CLI/CLI.hpp>

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "services/hubctl/command.h"
#include "services/hubctl/hub_calls.h"
#include "services/hubctl/identifier_argument.h"
#include "services/hubctl/when.h"

namespace hub::hubctl {
namespace {

namespace v1 = ::fraudhub::v1;

struct ReceivedArguments {
  std::string id;
  uint64_t version = 0;
};

absl::StatusOr<ExitCode> RunReceived(const ReceivedArguments& arguments, const Environment& env) {
  v1::ListReceiptsRequest request;
  HUB_ASSIGN_OR_RETURN(*request.mutable_identifier(), ParseIdentifierArgument(arguments.id));
  request.set_version(arguments.version);
  HUB_ASSIGN_OR_RETURN(const HubCalls calls, HubCalls::Connect(env));
  HUB_ASSIGN_OR_RETURN(const auto response,
                       calls.Call<v1::OperationsService>(&v1::OperationsService::Stub::ListReceipts, request));
  if (env.settings.output == "json") {
    Output output(env.style(), {}, env.out);
    output.Row({}, response);
    output.End();
    return kDone;
  }
  Output output(env.style(), {{"Stakeholder"}, {"Told"}, {"Confirmed"}}, env.out);
  const bool csv = env.settings.output == "csv";
  const auto when = [&](bool has, const google::protobuf::Timestamp& at, const char* otherwise) -> Cell {
    if (!has) return {csv ? "" : otherwise, Tone::kWarn};
    return {csv ? ForMachines(at) : ForPeople(at)};
  };
  for (const v1::Receipt& receipt : response.receipts()) {
    output.Row({{receipt.stakeholder()},
                when(receipt.has_sent_at(), receipt.sent_at(), "not yet"),
                when(receipt.has_confirmed_at(), receipt.confirmed_at(), "not yet")},
               receipt);
  }
  output.End();
  if (!csv) {
    *env.err << "version " << response.version() << " of " << ForPeople(response.decided_at()) << ": "
             << response.receipts_size() << " may see it, " << response.told() << " were told, " << response.confirmed()
             << " have confirmed\n";
  }
  return kDone;
}

}  // namespace

void AddReceiptCommands(CLI::App* app, Environment* env) {
  CLI::App* received = app->add_subcommand(
      "received", "Who has been told of an urgent event (a correction, a flag to VERY_HIGH), who has confirmed it");
  const auto arguments = std::make_shared<ReceivedArguments>();
  received->add_option("id", arguments->id, "MOBILE:5551234567")->required();
  received->add_option("--version", arguments->version, "Of the event; the newest urgent one by default");
  received->callback([=] { env->action = [=] { return RunReceived(*arguments, *env); }; });
}

}  // namespace hub::hubctl

// cursors: the caller's own streams and named cursors.
#include <CLI/CLI.hpp>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "fraudhub/v1/subscription.grpc.pb.h"
#include "services/hubctl/command.h"
#include "services/hubctl/hub_calls.h"
#include "services/hubctl/stream_cells.h"

namespace hub::hubctl {
namespace {

namespace v1 = ::fraudhub::v1;

// All of the caller's, or the one cursor, as one fan-out process has it.
absl::StatusOr<std::vector<v1::SubscriptionState>> Ask(const HubCalls& calls, const std::string& name) {
  if (!name.empty()) {
    v1::GetCursorRequest request;
    request.set_cursor(name);
    HUB_ASSIGN_OR_RETURN(const auto response,
                         calls.Call<v1::SubscriptionService>(&v1::SubscriptionService::Stub::GetCursor, request));
    return std::vector<v1::SubscriptionState>{response.state()};
  }
  HUB_ASSIGN_OR_RETURN(const auto response,
                       calls.Call<v1::SubscriptionService>(&v1::SubscriptionService::Stub::ListSubscriptions,
                                                           v1::ListSubscriptionsRequest()));
  return std::vector<v1::SubscriptionState>(response.subscriptions().begin(), response.subscriptions().end());
}

// Every process knows every cursor, but only its own streams: what the one with the stream says counts.
absl::StatusOr<ExitCode> RunCursors(const std::string& name, const Environment& env) {
  HUB_ASSIGN_OR_RETURN(client::ConnectionOptions options, ConnectionOf(env.settings, Serves::kStreams));
  std::map<std::string, v1::SubscriptionState> cursors;
  std::vector<v1::SubscriptionState> streams;
  absl::Status missing;
  bool any = false;
  for (const std::string& server : std::vector<std::string>(absl::StrSplit(options.server, ','))) {
    options.server = server;
    HUB_ASSIGN_OR_RETURN(const HubCalls calls, HubCalls::To(options, env));
    const auto states = Ask(calls, name);
    if (!states.ok()) {
      if (!missing.ok()) *env.err << "hubctl: " << Describe(missing, server) << '\n';
      missing = states.status();
      continue;
    }
    any = true;
    for (const v1::SubscriptionState& state : *states) {
      if (state.cursor().empty()) {
        streams.push_back(state);
      } else if (const auto it = cursors.try_emplace(state.cursor(), state).first; state.connected()) {
        it->second = state;
      }
    }
  }
  if (!any) return missing;
  for (const auto& [cursor, state] : cursors) streams.push_back(state);
  Output output(env.style(),
                {{"Cursor"}, {"Client"}, {"Connected"}, {"Mode"}, {"Behind"}, {"Lag"}, {"Last ack"}, {"Sent"}}, env.out);
  for (const v1::SubscriptionState& stream : streams) output.Row(StreamCells(stream, env), stream);
  output.End();
  if (!missing.ok()) return missing;  // what is shown is not all
  return kDone;
}

}  // namespace

void AddCursorCommands(CLI::App* app, Environment* env) {
  CLI::App* cursors = app->add_subcommand("cursors", "Your open streams and named cursors: where they stand, how far behind");
  const auto name = std::make_shared<std::string>();
  cursors->add_option("name", *name, "One cursor only");
  cursors->callback([=] { env->action = [=] { return RunCursors(*name, *env); }; });
}

}  // namespace hub::hubctl

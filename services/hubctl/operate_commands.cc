// health, digest, streams: how the hub is.
#include <CLI/CLI.hpp>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "services/hubctl/all_streams.h"
#include "services/hubctl/command.h"
#include "services/hubctl/hub_calls.h"
#include "services/hubctl/raw_call.h"
#include "services/hubctl/stream_cells.h"
#include "services/hubctl/when.h"
#include "services/hubctl/words.h"

namespace hub::hubctl {
namespace {

namespace v1 = ::fraudhub::v1;

constexpr char kHealthCheck[] = "/grpc.health.v1.Health/Check";
// grpc.health.v1.HealthCheckResponse { ServingStatus status = 1; }: two bytes, tag and number.
constexpr char kServing[] = "\x08\x01";

// Debian ships no generated code for grpc.health.v1; an empty request asks about the whole server.
absl::StatusOr<bool> Serves(const HubCalls& calls) {
  HUB_ASSIGN_OR_RETURN(const std::string answer, RawCall(calls.channel(), kHealthCheck, "", calls.timeout()));
  return answer == absl::string_view(kServing, 2);
}

absl::StatusOr<ExitCode> RunHealth(const Environment& env) {
  HUB_ASSIGN_OR_RETURN(const HubCalls calls, HubCalls::Connect(env));
  const absl::Duration started = env.clock->Monotonic();
  HUB_ASSIGN_OR_RETURN(const bool serves, Serves(calls));
  const std::string took = absl::StrFormat("%.1f ms", absl::ToDoubleMilliseconds(env.clock->Monotonic() - started));
  Output output(env.style(), {{"Server"}, {"Status"}, {"Round trip"}}, env.out);
  const std::string word = serves ? "SERVING" : "NOT_SERVING";
  output.Row({{env.settings.server}, {word, serves ? Tone::kPlain : Tone::kAlarm}, {took}},
             absl::StrCat("{\"server\":", JsonString(env.settings.server), ",\"status\":\"", word, "\"}"));
  output.End();
  return serves ? kDone : kFailed;
}

absl::StatusOr<ExitCode> RunDigest(const Environment& env) {
  HUB_ASSIGN_OR_RETURN(const HubCalls calls, HubCalls::Connect(env));
  HUB_ASSIGN_OR_RETURN(
      const auto response,
      calls.Call<v1::OperationsService>(&v1::OperationsService::Stub::GetStateDigest, v1::GetStateDigestRequest()));
  const auto level = [&](v1::Level which) -> Cell {
    const auto found = response.by_level().find(which);
    return {absl::StrCat(found == response.by_level().end() ? 0 : found->second)};
  };
  Output output(env.style(),
                {{"Indicators"},
                 {"Flagged"},
                 {"Very high"},
                 {"High"},
                 {"Medium"},
                 {"None"},
                 {"Reports"},
                 {"Digest"},
                 {"Complete until"}},
                env.out);
  output.Row(
      {{absl::StrCat(response.indicators())},
       {absl::StrCat(response.flagged())},
       level(v1::LEVEL_VERY_HIGH),
       level(v1::LEVEL_HIGH),
       level(v1::LEVEL_MEDIUM),
       level(v1::LEVEL_NONE),
       {absl::StrCat(response.reports())},
       {response.digest()},
       {env.settings.output == "csv" ? ForMachines(response.complete_until()) : ForPeople(response.complete_until())}},
      response);
  output.End();
  return kDone;
}

absl::StatusOr<ExitCode> RunStreams(const Environment& env) {
  HUB_ASSIGN_OR_RETURN(const AllStreams all, ListAllStreams(env));
  if (all.answers == 0) return all.TellMissing(env);
  Output output(
      env.style(),
      {{"Stakeholder"}, {"Cursor"}, {"Client"}, {"Connected"}, {"Mode"}, {"Behind"}, {"Lag"}, {"Last ack"}, {"Sent"}},
      env.out);
  for (const auto& [stakeholder, streams] : all.stakeholders) {
    if (env.settings.output == "json") {
      output.Row({}, streams);
      continue;
    }
    for (const v1::SubscriptionState& stream : streams.streams()) {
      std::vector<Cell> row = StreamCells(stream, env);
      row.insert(row.begin(), {streams.stakeholder()});
      output.Row(std::move(row), stream);
    }
  }
  output.End();
  HUB_RETURN_IF_ERROR(all.TellMissing(env));  // what is shown is not all
  return kDone;
}

}  // namespace

void AddOperateCommands(CLI::App* app, Environment* env) {
  app->add_subcommand("health", "Does the hub serve?")->callback([=] {
    env->action = [=] { return RunHealth(*env); };
  });
  app->add_subcommand("digest", "A digest of the whole state: equal states have equal digests")->callback([=] {
    env->action = [=] { return RunDigest(*env); };
  });
  app->add_subcommand("streams", "Streams of all stakeholders: connected, lag, last acknowledgement")->callback([=] {
    env->action = [=] { return RunStreams(*env); };
  });
}

}  // namespace hub::hubctl

#include "services/hubctl/all_streams.h"

#include <algorithm>

#include "absl/strings/str_split.h"
#include "services/hubctl/hub_calls.h"

namespace hub::hubctl {
namespace {

namespace v1 = ::fraudhub::v1;

void Merge(const v1::StakeholderStreams& told, v1::StakeholderStreams* known) {
  known->set_stakeholder(told.stakeholder());
  for (const v1::SubscriptionState& stream : told.streams()) {
    auto* const streams = known->mutable_streams();
    const auto same = std::find_if(streams->begin(), streams->end(), [&](const v1::SubscriptionState& one) {
      return !stream.cursor().empty() && one.cursor() == stream.cursor();
    });
    if (same == streams->end()) {
      *streams->Add() = stream;
    } else if (stream.connected()) {
      *same = stream;
    }
  }
}

}  // namespace

absl::Status AllStreams::TellMissing(const Environment& env) const {
  if (missing.empty()) return absl::OkStatus();
  for (size_t i = 1; i < missing.size(); ++i) {
    *env.err << "hubctl: " << Describe(missing[i], env.settings.server) << '\n';
  }
  return missing.front();
}

absl::StatusOr<AllStreams> ListAllStreams(const Environment& env) {
  AllStreams all;
  HUB_ASSIGN_OR_RETURN(client::ConnectionOptions options, ConnectionOf(env.settings, Serves::kStreams));
  for (const std::string& server : std::vector<std::string>(absl::StrSplit(options.server, ','))) {
    options.server = server;
    HUB_ASSIGN_OR_RETURN(const HubCalls calls, HubCalls::To(options, env));
    const auto response =
        calls.Call<v1::OperationsService>(&v1::OperationsService::Stub::ListStreams, v1::ListStreamsRequest());
    if (!response.ok()) {
      all.missing.push_back(response.status());
      continue;
    }
    ++all.answers;
    for (const v1::StakeholderStreams& told : response->stakeholders()) {
      Merge(told, &all.stakeholders[told.stakeholder()]);
    }
  }
  return all;
}

}  // namespace hub::hubctl

// What operators put in force everywhere, and what the hub could not read: policy, rules, keys, quarantine.
#include <CLI/CLI.hpp>
#include <fstream>
#include <memory>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "libs/base/status_macros.h"
#include "services/hubctl/command.h"
#include "services/hubctl/hub_calls.h"
#include "services/hubctl/when.h"
#include "services/hubctl/words.h"

namespace hub::hubctl {
namespace {

namespace v1 = ::fraudhub::v1;
using Operations = v1::OperationsService;

constexpr int kQuarantinePage = 1000;
constexpr int kQuarantinePagesMax = 10'000;  // then it ends with what it has seen

absl::StatusOr<std::string> ReadWhole(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::NotFoundError(absl::StrCat(path, ": can't be read"));
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

template <class Response>
ExitCode Tell(const Response& response, const std::string& path, const std::string& sentence, const Environment& env) {
  for (const std::string& problem : response.problems()) *env.err << path << ": " << problem << '\n';
  if (env.settings.output == "json") {
    *env.out << ToJson(response) << '\n';
  } else if (response.problems().empty()) {
    *env.out << sentence << '\n';
  }
  return response.problems().empty() ? kDone : kFailed;
}

absl::StatusOr<ExitCode> RunRulesApply(const std::string& path, bool check_only, const Environment& env) {
  v1::ApplyRulesRequest request;
  HUB_ASSIGN_OR_RETURN(*request.mutable_rules_text(), ReadWhole(path));
  request.set_validate_only(check_only);
  HUB_ASSIGN_OR_RETURN(const HubCalls calls, HubCalls::Connect(env));
  HUB_ASSIGN_OR_RETURN(const auto response, calls.Call<Operations>(&Operations::Stub::ApplyRules, request));
  return Tell(response, path,
              absl::StrCat("rules version ", response.version(),
                           check_only ? " is valid"
                                      : absl::StrCat(" is on ", response.positions_size(),
                                                     " partitions; it decides from there on")),
              env);
}

absl::StatusOr<ExitCode> RunPolicyApply(const std::string& path, bool check_only, const Environment& env) {
  v1::ApplyPolicyRequest request;
  HUB_ASSIGN_OR_RETURN(*request.mutable_policy_text(), ReadWhole(path));
  request.set_validate_only(check_only);
  HUB_ASSIGN_OR_RETURN(const HubCalls calls, HubCalls::Connect(env));
  HUB_ASSIGN_OR_RETURN(const auto response, calls.Call<Operations>(&Operations::Stub::ApplyPolicy, request));
  return Tell(
      response, path,
      absl::StrCat("policy version ", response.version(),
                   check_only ? " is valid" : absl::StrCat(" (", response.hash(), ") is in force within a second")),
      env);
}

absl::StatusOr<ExitCode> RunPolicyShow(const Environment& env) {
  HUB_ASSIGN_OR_RETURN(const HubCalls calls, HubCalls::Connect(env));
  HUB_ASSIGN_OR_RETURN(const auto control,
                       calls.Call<Operations>(&Operations::Stub::GetControl, v1::GetControlRequest()));
  Output output(env.style(), {{"What"}, {"Version"}, {"Hash"}}, env.out);
  if (env.settings.output == "json") {
    output.Row({}, control);
  } else {
    output.Row({{"policy"}, {absl::StrCat(control.policy_version())}, {control.policy_hash()}}, control);
    output.Row({{"rules"}, {absl::StrCat(control.rules_version())}, {control.rules_hash()}}, control);
    output.Row({{"cursor key"}, {absl::StrCat(control.cursor_key_id())}, {""}}, control);
  }
  output.End();
  return kDone;
}

absl::StatusOr<ExitCode> RunKeysSign(uint32_t key_id, const Environment& env) {
  v1::UseCursorKeyRequest request;
  request.set_key_id(key_id);
  HUB_ASSIGN_OR_RETURN(const HubCalls calls, HubCalls::Connect(env));
  HUB_ASSIGN_OR_RETURN(const auto response, calls.Call<Operations>(&Operations::Stub::UseCursorKey, request));
  if (env.settings.output == "json") {
    *env.out << ToJson(response) << '\n';
  } else {
    *env.out << "cursor key " << key_id << " seals new tokens within a second, wherever it is in the key folder\n";
  }
  return kDone;
}

std::string PlaceOf(const v1::QuarantinedRecord& record) {
  return absl::StrCat(record.topic(), "/", record.partition(), "/", record.offset());
}

// Newest first, page by page, as long as `visit` answers true. A page may be shorter than asked for.
absl::Status WalkQuarantine(const HubCalls& calls, int page_size,
                            const std::function<bool(const v1::QuarantinedRecord&)>& visit) {
  v1::ListQuarantineRequest request;
  request.set_page_size(page_size);
  for (int page = 0; page < kQuarantinePagesMax; ++page) {
    HUB_ASSIGN_OR_RETURN(const auto response, calls.Call<Operations>(&Operations::Stub::ListQuarantine, request));
    for (const v1::QuarantinedRecord& record : response.records()) {
      if (!visit(record)) return absl::OkStatus();
    }
    if (response.next_page_token().empty()) return absl::OkStatus();
    request.set_page_token(response.next_page_token());
  }
  return absl::OkStatus();
}

absl::StatusOr<ExitCode> RunQuarantineList(int limit, const Environment& env) {
  if (limit < 1 || limit > kQuarantinePage) return Usage("--limit: want 1 to 1,000");
  HUB_ASSIGN_OR_RETURN(const HubCalls calls, HubCalls::Connect(env));
  Output output(env.style(), {{"Record"}, {"Set aside (IST)"}, {"Bytes"}, {"Why"}}, env.out);
  int left = limit;
  HUB_RETURN_IF_ERROR(WalkQuarantine(calls, limit, [&](const v1::QuarantinedRecord& record) {
    output.Row(
        {{PlaceOf(record)}, {ForPeople(record.set_aside_at())}, {absl::StrCat(record.bytes_kept())}, {record.reason()}},
        record);
    return --left > 0;
  }));
  output.End();
  return kDone;
}

absl::StatusOr<ExitCode> RunQuarantineShow(const std::string& place, const Environment& env) {
  HUB_ASSIGN_OR_RETURN(const HubCalls calls, HubCalls::Connect(env));
  bool found = false;
  HUB_RETURN_IF_ERROR(WalkQuarantine(calls, kQuarantinePage, [&](const v1::QuarantinedRecord& record) {
    if (PlaceOf(record) != place) return true;
    found = true;
    Output output(env.style(), {{"Record"}, {"Set aside (IST)"}, {"Bytes"}, {"SHA-256"}, {"Why"}}, env.out);
    output.Row({{PlaceOf(record)},
                {ForPeople(record.set_aside_at())},
                {absl::StrCat(record.bytes_kept())},
                {record.sha256()},
                {record.reason()}},
               record);
    output.End();
    return false;
  }));
  if (!found)
    return absl::NotFoundError(absl::StrCat(place, ": not in the quarantine; `hubctl quarantine list` names what is"));
  return kDone;
}

void AddApply(CLI::App* group, const char* what, const char* file,
              absl::StatusOr<ExitCode> (*run)(const std::string&, bool, const Environment&), Environment* env) {
  CLI::App* apply = group->add_subcommand("apply", what);
  const auto path = std::make_shared<std::string>();
  const auto check_only = std::make_shared<bool>(false);
  apply->add_option("FILE", *path, file)->required();
  apply->add_flag("--check", *check_only, "Let the hub validate it, apply nothing");
  apply->callback([=] { env->action = [=] { return run(*path, *check_only, *env); }; });
}

}  // namespace

void AddControlCommands(CLI::App* app, Environment* env) {
  CLI::App* rules = app->add_subcommand("rules", "The rules by which reports become levels");
  rules->require_subcommand(1);
  AddApply(rules, "Put new rules in force", "rules.textproto; its version must rise", RunRulesApply, env);

  CLI::App* policy = app->add_subcommand("policy", "Who there is and what each may do");
  policy->require_subcommand(1);
  AddApply(policy, "Put a new policy in force everywhere", "policy.textproto; its version must rise", RunPolicyApply,
           env);
  policy->add_subcommand("show", "Which policy, rules and key are in force")->callback([=] {
    env->action = [=] { return RunPolicyShow(*env); };
  });

  CLI::App* keys = app->add_subcommand("keys", "Keys of the hub");
  keys->require_subcommand(1);
  CLI::App* sign = keys->add_subcommand("sign", "Seal new cursor tokens with another key");
  const auto key_id = std::make_shared<uint32_t>(0);
  sign->add_option("ID", *key_id, "1 is cursor.key, N is cursor-N.key in every process's key folder")->required();
  sign->callback([=] { env->action = [=] { return RunKeysSign(*key_id, *env); }; });

  CLI::App* quarantine = app->add_subcommand("quarantine", "Records that the hub could not read");
  quarantine->require_subcommand(1);
  CLI::App* list = quarantine->add_subcommand("list", "The newest of them");
  const auto limit = std::make_shared<int>(100);
  list->add_option("--limit", *limit, "How many at most");
  list->callback([=] { env->action = [=] { return RunQuarantineList(*limit, *env); }; });
  CLI::App* show = quarantine->add_subcommand("show", "One of them");
  const auto place = std::make_shared<std::string>();
  show->add_option("RECORD", *place, "TOPIC/PARTITION/OFFSET, as `list` names it")->required();
  show->callback([=] { env->action = [=] { return RunQuarantineShow(*place, *env); }; });
}

}  // namespace hub::hubctl

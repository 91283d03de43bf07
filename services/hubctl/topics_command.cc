// topics: what the hub's topics on a Kafka cluster lack, and putting it right. Talks to the brokers, not to the hub.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

#include "absl/strings/str_cat.h"
#include "libs/base/status_macros.h"
#include "libs/eventlog/kafka_security.h"
#include "libs/eventlog/kafka_topics.h"
#include "libs/eventlog/topics.h"
#include "services/hubctl/command.h"

namespace hub::hubctl {
namespace {

struct TopicArguments {
  std::string bootstrap;
  std::string prefix;
  std::string security;
  int partitions = 4;
  int replication = 3;
  bool acls = false;
};

absl::StatusOr<eventlog::KafkaLogOptions> OptionsOf(const TopicArguments& arguments) {
  if (arguments.partitions < 1 || arguments.partitions > 64) return Usage("--partitions: want 1 to 64");
  if (arguments.replication < 1 || arguments.replication > 16) return Usage("--replication-factor: want 1 to 16");
  eventlog::KafkaLogOptions options;
  options.bootstrap_servers = arguments.bootstrap;
  options.topic_prefix = arguments.prefix;
  options.replication_factor = arguments.replication;
  if (!arguments.security.empty()) {
    auto security = eventlog::LoadKafkaSecurity(arguments.security);
    if (!security.ok())
      return Usage(absl::StrCat("--security ", arguments.security, ": ", security.status().message()));
    options.security = *std::move(security);
  }
  return options;
}

ExitCode Print(const std::vector<eventlog::TopicFinding>& findings, const Environment& env) {
  Output output(env.style(), {{"Topic"}, {"Setting"}, {"Has"}, {"Wants"}, {"Mended by"}}, env.out);
  for (const eventlog::TopicFinding& finding : findings) {
    const bool by_hand = finding.mend == eventlog::TopicFinding::Mend::kByHand;
    const std::string mend = by_hand ? "hand" : "hubctl topics apply";
    output.Row({{finding.topic},
                {finding.is_missing() ? "(missing)" : finding.setting},
                {finding.has},
                {finding.wants},
                {mend, by_hand ? Tone::kAlarm : Tone::kPlain}},
               absl::StrCat("{\"topic\":", JsonString(finding.topic), ",\"setting\":", JsonString(finding.setting),
                            ",\"has\":", JsonString(finding.has), ",\"wants\":", JsonString(finding.wants),
                            ",\"mend\":", JsonString(by_hand ? "hand" : "apply"), "}"));
  }
  output.End();
  if (findings.empty() && env.settings.output == "table") *env.out << "all topics are as wanted\n";
  return findings.empty() ? kDone : kFailed;
}

absl::StatusOr<ExitCode> RunPlan(const TopicArguments& arguments, const Environment& env) {
  HUB_ASSIGN_OR_RETURN(const eventlog::KafkaLogOptions options, OptionsOf(arguments));
  HUB_ASSIGN_OR_RETURN(const auto findings,
                       eventlog::PlanTopics(options, eventlog::HubTopics(arguments.partitions), env.timeout));
  return Print(findings, env);
}

absl::StatusOr<ExitCode> RunApply(const TopicArguments& arguments, const Environment& env) {
  HUB_ASSIGN_OR_RETURN(const eventlog::KafkaLogOptions options, OptionsOf(arguments));
  HUB_ASSIGN_OR_RETURN(const auto left,
                       eventlog::ApplyTopics(options, eventlog::HubTopics(arguments.partitions), env.timeout));
  if (arguments.acls) {
    HUB_ASSIGN_OR_RETURN(const int count, eventlog::ApplyAcls(options, env.timeout));
    *env.err << count << " access rules are in force\n";
  }
  return Print(left, env);
}

}  // namespace

void AddTopicsCommands(CLI::App* app, Environment* env) {
  CLI::App* topics = app->add_subcommand("topics", "The hub's topics on Kafka");
  topics->require_subcommand(1);
  const auto arguments = std::make_shared<TopicArguments>();
  const auto add = [&](const char* name, const char* what, auto run) {
    CLI::App* command = topics->add_subcommand(name, what);
    command->add_option("--bootstrap", arguments->bootstrap, "Brokers, host:port with commas between")->required();
    command->add_option("--partitions", arguments->partitions, "As the hub's log.partitions");
    command->add_option("--replication-factor", arguments->replication, "As the hub's log.kafka_replication_factor");
    command->add_option("--prefix", arguments->prefix, "As the hub's log.kafka_topic_prefix");
    command->add_option("--security", arguments->security, "As the hub's log.kafka_security_file, of a user who may");
    command->callback([=] { env->action = [=] { return run(*arguments, *env); }; });
    return command;
  };
  add("plan", "What is missing or differs; changes nothing", RunPlan);
  add("apply", "Create what is missing, raise what is too low", RunApply)
      ->add_flag("--acls", arguments->acls, "Also give the users registry, ingest, fanout and query what each needs");
}

}  // namespace hub::hubctl

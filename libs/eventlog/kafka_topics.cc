#include "libs/eventlog/kafka_topics.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "libs/base/clock.h"
#include "libs/base/mutex.h"
#include "libs/base/status_macros.h"
#include "libs/eventlog/kafka_admin.h"
#include "libs/eventlog/kafka_config.h"
#include "libs/eventlog/topics.h"

namespace hub::eventlog {
namespace {

using kafka::Acl;
using kafka::Admin;
using TopicSettings = std::map<std::string, std::string>;

// Milliseconds as Kafka's settings have them: -1 is for ever.
int64_t SettingMillis(absl::Duration duration) {
  return duration == absl::InfiniteDuration() ? -1 : absl::ToInt64Milliseconds(duration);
}

// What a topic must have. Numbers are compared by AtLeast, the rest must be equal.
TopicSettings SettingsFor(const TopicSpec& topic, int replication_factor) {
  const bool compact = topic.cleanup == Cleanup::kCompact;
  TopicSettings settings = {
      {"cleanup.policy", compact ? "compact" : "delete"},
      // On two brokers before it is acknowledged, wherever there are two.
      {"min.insync.replicas", absl::StrCat(std::max(1, replication_factor - 1))},
      {"unclean.leader.election.enable", "false"},  // rather unavailable than acknowledged and lost
      // The broker's clock: a client with a wrong one can't make records stay for ever or go at once.
      {"message.timestamp.type", "LogAppendTime"},
      {"max.message.bytes", "1048588"},  // the broker's default; kRecordBytesMax counts on it
  };
  if (compact) {
    settings["min.compaction.lag.ms"] = absl::StrCat(SettingMillis(topic.compaction_lag));
  } else {
    settings["retention.ms"] = absl::StrCat(SettingMillis(topic.retention));
    settings["retention.bytes"] = absl::StrCat(topic.retention_bytes);
  }
  return settings;
}

// Keeps at least as much, or promises at least as much.
bool AtLeast(const std::string& present, const std::string& wanted) {
  int64_t has = 0, wants = 0;
  if (!absl::SimpleAtoi(present, &has) || !absl::SimpleAtoi(wanted, &wants)) return present == wanted;
  if (has == -1) return true;
  return wants != -1 && has >= wants;
}

absl::StatusOr<std::unique_ptr<Admin>> Connect(const KafkaLogOptions& options, absl::Duration timeout) {
  HUB_ASSIGN_OR_RETURN(const kafka::Settings client,
                       kafka::ClientSettings(options.bootstrap_servers, options.security));
  HUB_ASSIGN_OR_RETURN(std::unique_ptr<Admin> admin, Admin::Make(client));
  if (admin->ClusterId(timeout).empty()) {
    return absl::UnavailableError(absl::StrCat(options.bootstrap_servers, ": no broker answered within ",
                                               absl::FormatDuration(timeout), kafka::WhyNoConnection()));
  }
  return admin;
}

std::vector<TopicSpec> WithIdentity(std::vector<TopicSpec> topics) {
  topics.push_back(kafka::IdentityTopic());
  return topics;
}

// What each user may do with which topic: R reads, W writes. All may ask what topics there are and how they are set.
struct Grant {
  const char* user;
  const char* topic;
  const char* rights;
};
constexpr Grant kGrants[] = {
    {"registry", kReportsTopic, "RW"},  // ticks and rules stand among the reports
    {"registry", kEventsTopic, "RW"},    {"registry", kUrgentTopic, "RW"},
    {"registry", kHistoryTopic, "W"},    {"registry", kControlTopic, "RW"},
    {"registry", kQuarantineTopic, "W"}, {"ingest", kReportsTopic, "W"},
    {"ingest", kControlTopic, "R"},      {"fanout", kEventsTopic, "R"},
    {"fanout", kUrgentTopic, "R"},       {"fanout", kControlTopic, "R"},
    {"fanout", kCursorsTopic, "RW"},     {"query", kReportsTopic, "W"},  // corrections
    {"query", kEventsTopic, "R"},        {"query", kUrgentTopic, "R"},
    {"query", kHistoryTopic, "R"},       {"query", kCursorsTopic, "R"},
    {"query", kControlTopic, "RW"},      {"query", kQuarantineTopic, "RW"},
    {"fanout", kReceiptsTopic, "W"},     {"query", kReceiptsTopic, "R"},
};
constexpr const char* kUsers[] = {"registry", "ingest", "fanout", "query"};

}  // namespace

std::string ToText(const TopicFinding& finding) {
  switch (finding.mend) {
    case TopicFinding::Mend::kCreate:
      return absl::StrCat(finding.topic, ": missing: hubctl topics apply creates it");
    case TopicFinding::Mend::kRaise:
      return absl::StrCat(finding.topic, ".", finding.setting, ": ", finding.has, " in the cluster, want ",
                          finding.wants, ": hubctl topics apply sets it");
    case TopicFinding::Mend::kByHand:
      break;
  }
  return absl::StrCat(finding.topic, ".", finding.setting, ": ", finding.has, " in the cluster, want ", finding.wants,
                      ": never changed under data, see deploy/TOPICS.md");
}

absl::StatusOr<std::vector<TopicFinding>> PlanTopics(const KafkaLogOptions& options,
                                                     const std::vector<TopicSpec>& topics, absl::Duration timeout) {
  HUB_ASSIGN_OR_RETURN(const std::unique_ptr<Admin> admin, Connect(options, timeout));
  return kafka::TopicPlanner(admin.get(), options).Plan(WithIdentity(topics), timeout);
}

absl::StatusOr<std::vector<TopicFinding>> ApplyTopics(const KafkaLogOptions& options,
                                                      const std::vector<TopicSpec>& topics, absl::Duration timeout) {
  HUB_ASSIGN_OR_RETURN(const std::unique_ptr<Admin> admin, Connect(options, timeout));
  kafka::TopicPlanner planner(admin.get(), options);
  const std::vector<TopicSpec> all = WithIdentity(topics);
  HUB_ASSIGN_OR_RETURN(std::vector<TopicFinding> findings, planner.Plan(all, timeout));
  HUB_RETURN_IF_ERROR(planner.Create(all, findings, timeout));
  HUB_RETURN_IF_ERROR(planner.Raise(findings, timeout));
  // A cluster takes a moment to show what it was told.
  const base::RealClock clock;
  const absl::Duration until = clock.Monotonic() + timeout;
  base::Mutex mu;
  base::CondVar never;
  while (true) {
    absl::StatusOr<std::vector<TopicFinding>> left = planner.Plan(all, timeout);
    const bool settled = left.ok() && std::all_of(left->begin(), left->end(), [](const TopicFinding& finding) {
                           return finding.mend == TopicFinding::Mend::kByHand;
                         });
    if (settled || clock.Monotonic() >= until) return left;
    base::MutexLock lock(&mu);
    never.WaitFor(&mu, absl::Milliseconds(100));
  }
}

absl::StatusOr<int> ApplyAcls(const KafkaLogOptions& options, absl::Duration timeout) {
  HUB_ASSIGN_OR_RETURN(const std::unique_ptr<Admin> admin, Connect(options, timeout));
  std::vector<Acl> acls;
  for (const Grant& grant : kGrants) {
    for (const char right : absl::string_view(grant.rights)) {
      acls.push_back({Acl::Resource::kTopic, options.topic_prefix + grant.topic, grant.user,
                      right == 'R' ? Acl::Operation::kRead : Acl::Operation::kWrite});
    }
  }
  for (const char* user : kUsers) {
    for (const TopicSpec& topic : WithIdentity(HubTopics(1))) {
      for (const Acl::Operation operation : {Acl::Operation::kDescribe, Acl::Operation::kDescribeConfigs}) {
        acls.push_back({Acl::Resource::kTopic, options.topic_prefix + topic.name, user, operation});
      }
    }
    acls.push_back({Acl::Resource::kGroup, kafka::kReadersGroup, user, Acl::Operation::kRead});
    // Every process reads there which log it is, and notes how far it saw it reach.
    for (const Acl::Operation operation : {Acl::Operation::kRead, Acl::Operation::kWrite}) {
      acls.push_back({Acl::Resource::kTopic, options.topic_prefix + kafka::IdentityTopic().name, user, operation});
    }
  }
  acls.push_back(
      {Acl::Resource::kGroup, options.topic_prefix + "fraudhub-registry", "registry", Acl::Operation::kRead});
  HUB_RETURN_IF_ERROR(admin->CreateAcls(acls, timeout));
  return static_cast<int>(acls.size());
}

namespace kafka {

TopicSpec IdentityTopic() {
  TopicSpec marks;
  marks.name = "hub.logid.v1";
  marks.cleanup = Cleanup::kCompact;
  return marks;
}

absl::StatusOr<std::vector<TopicFinding>> TopicPlanner::Plan(const std::vector<TopicSpec>& topics,
                                                             absl::Duration timeout) {
  std::vector<std::string> names;
  for (const TopicSpec& topic : topics) names.push_back(NameOf(topic.name));
  HUB_ASSIGN_OR_RETURN(const auto counts, admin_->PartitionCounts(names, timeout));
  std::vector<std::string> present;
  std::copy_if(names.begin(), names.end(), std::back_inserter(present),
               [&](const auto& name) { return counts.at(name) > 0; });
  std::map<std::string, TopicSettings> settings;
  if (!present.empty()) {
    HUB_ASSIGN_OR_RETURN(settings, admin_->DescribeTopics(present, timeout));
  }
  std::vector<TopicFinding> findings;
  for (const TopicSpec& topic : topics) {
    const std::string name = NameOf(topic.name);
    const int32_t count = counts.at(name);
    if (count == 0) {
      findings.push_back({name, "", "", "", TopicFinding::Mend::kCreate});
      continue;
    }
    if (count != topic.partitions) {
      findings.push_back({name, "partitions", absl::StrCat(count), absl::StrCat(topic.partitions)});
    }
    const auto found = settings.find(name);
    if (found == settings.end()) return absl::UnavailableError(absl::StrCat(name, ": no settings in the answer"));
    for (const auto& [setting, wants] : SettingsFor(topic, options_.replication_factor)) {
      if (options_.topic_overrides.count(setting) > 0) continue;
      const auto it = found->second.find(setting);
      const std::string has = it == found->second.end() ? "" : it->second;
      if (AtLeast(has, wants)) continue;
      const bool by_hand = setting == "cleanup.policy";
      findings.push_back(
          {name, setting, has, wants, by_hand ? TopicFinding::Mend::kByHand : TopicFinding::Mend::kRaise});
    }
  }
  return findings;
}

absl::Status TopicPlanner::Create(const std::vector<TopicSpec>& topics, const std::vector<TopicFinding>& findings,
                                  absl::Duration timeout) {
  std::vector<Admin::NewTopic> missing;
  for (const TopicSpec& topic : topics) {
    const std::string name = NameOf(topic.name);
    if (std::none_of(findings.begin(), findings.end(),
                     [&](const TopicFinding& f) { return f.is_missing() && f.topic == name; })) {
      continue;
    }
    Admin::NewTopic made{name, topic.partitions, options_.replication_factor,
                         SettingsFor(topic, options_.replication_factor)};
    for (const auto& [setting, value] : options_.topic_overrides) made.settings[setting] = value;
    missing.push_back(std::move(made));
  }
  return missing.empty() ? absl::OkStatus() : admin_->Create(missing, timeout);
}

absl::Status TopicPlanner::Raise(const std::vector<TopicFinding>& findings, absl::Duration timeout) {
  std::map<std::string, TopicSettings> changes;
  for (const TopicFinding& finding : findings) {
    if (finding.mend == TopicFinding::Mend::kRaise) changes[finding.topic][finding.setting] = finding.wants;
  }
  return changes.empty() ? absl::OkStatus() : admin_->ChangeTopics(changes, timeout);
}

}  // namespace kafka
}  // namespace hub::eventlog

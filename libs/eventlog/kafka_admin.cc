#include "libs/eventlog/kafka_admin.h"

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafkacpp.h>

#include <functional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/status_macros.h"

namespace hub::eventlog::kafka {
namespace {

template <typename T>
using Owned = std::unique_ptr<T, void (*)(T*)>;

constexpr size_t kErrorBytes = 512;

// Runs one admin call on a queue of its own and waits for its only event.
absl::StatusOr<Owned<rd_kafka_event_t>> Call(
    rd_kafka_t* client, rd_kafka_admin_op_t operation, absl::Duration timeout,
    const std::function<void(const rd_kafka_AdminOptions_t*, rd_kafka_queue_t*)>& start, absl::string_view what) {
  const Owned<rd_kafka_queue_t> queue(rd_kafka_queue_new(client), rd_kafka_queue_destroy);
  const Owned<rd_kafka_AdminOptions_t> options(rd_kafka_AdminOptions_new(client, operation),
                                               rd_kafka_AdminOptions_destroy);
  char error[kErrorBytes];
  rd_kafka_AdminOptions_set_request_timeout(options.get(), std::max(1, ToMillis(timeout)), error, sizeof(error));
  start(options.get(), queue.get());
  // A second more than the call has: its own timeout says more than ours.
  Owned<rd_kafka_event_t> event(rd_kafka_queue_poll(queue.get(), ToMillis(timeout) + 1000), rd_kafka_event_destroy);
  if (event == nullptr) return absl::UnavailableError(absl::StrCat(what, ": no answer"));
  if (rd_kafka_event_error(event.get()) != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return ToStatus(rd_kafka_event_error(event.get()),
                    absl::StrCat(what, ": ", rd_kafka_event_error_string(event.get())));
  }
  return event;
}

// So that the client knows who leads which partition now. Best effort.
void RefreshMetadata(rd_kafka_t* client, absl::Duration timeout) {
  const rd_kafka_metadata_t* metadata = nullptr;
  if (rd_kafka_metadata(client, /*all_topics=*/1, nullptr, &metadata, std::max(1, ToMillis(timeout))) ==
      RD_KAFKA_RESP_ERR_NO_ERROR) {
    rd_kafka_metadata_destroy(metadata);
  }
}

// One ListOffsets for all partitions: `which` is RD_KAFKA_OFFSET_BEGINNING or _END, which the protocol takes as timestamps.
// Not rd_kafka_query_watermark_offsets, whose timeout 2.0.2 ignores.
absl::StatusOr<std::map<TopicPartition, Offset>> ListOffsets(rd_kafka_t* client,
                                                             const std::vector<TopicPartition>& partitions,
                                                             int64_t which, absl::Duration timeout) {
  const Owned<rd_kafka_topic_partition_list_t> list(
      rd_kafka_topic_partition_list_new(static_cast<int>(partitions.size())), rd_kafka_topic_partition_list_destroy);
  for (const TopicPartition& at : partitions) {
    rd_kafka_topic_partition_list_add(list.get(), at.topic.c_str(), at.partition)->offset = which;
  }
  const rd_kafka_resp_err_t error = rd_kafka_offsets_for_times(client, list.get(), std::max(1, ToMillis(timeout)));
  // 2.0.2 asks the broker that it remembers as the leader, and does not look for the new one before its next refresh.
  if (error == RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION) RefreshMetadata(client, timeout);
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) return ToStatus(error, "offsets");
  std::map<TopicPartition, Offset> offsets;
  for (int i = 0; i < list->cnt; ++i) {
    const rd_kafka_topic_partition_t& answer = list->elems[i];
    if (answer.err != RD_KAFKA_RESP_ERR_NO_ERROR)
      return ToStatus(answer.err, absl::StrCat("offsets of ", answer.topic));
    // The request as it was sent, when the answer was late.
    if (answer.offset < 0) return absl::UnavailableError(absl::StrCat("offsets of ", answer.topic, ": no answer"));
    offsets[{answer.topic, answer.partition}] = answer.offset;
  }
  return offsets;
}

rd_kafka_AclOperation_t ToKafka(Acl::Operation operation) {
  switch (operation) {
    case Acl::Operation::kRead:
      return RD_KAFKA_ACL_OPERATION_READ;
    case Acl::Operation::kWrite:
      return RD_KAFKA_ACL_OPERATION_WRITE;
    case Acl::Operation::kDescribe:
      return RD_KAFKA_ACL_OPERATION_DESCRIBE;
    case Acl::Operation::kDescribeConfigs:
      break;
  }
  return RD_KAFKA_ACL_OPERATION_DESCRIBE_CONFIGS;
}

// Settings of each topic; `set_here_only`: without what comes from the broker or from Kafka's defaults.
absl::StatusOr<std::map<std::string, std::map<std::string, std::string>>> Describe(
    rd_kafka_t* client, const std::vector<std::string>& topics, bool set_here_only, absl::Duration timeout) {
  std::vector<Owned<rd_kafka_ConfigResource_t>> owned;
  std::vector<rd_kafka_ConfigResource_t*> wanted;
  for (const std::string& topic : topics) {
    owned.emplace_back(rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic.c_str()),
                       rd_kafka_ConfigResource_destroy);
    wanted.push_back(owned.back().get());
  }
  HUB_ASSIGN_OR_RETURN(const auto event, Call(
                                             client, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, timeout,
                                             [&](const rd_kafka_AdminOptions_t* options, rd_kafka_queue_t* queue) {
                                               rd_kafka_DescribeConfigs(client, wanted.data(), wanted.size(), options,
                                                                        queue);
                                             },
                                             "topic settings"));
  std::map<std::string, std::map<std::string, std::string>> settings;
  size_t count = 0;
  const rd_kafka_ConfigResource_t** resources =
      rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(event.get()), &count);
  for (size_t i = 0; i < count; ++i) {
    const std::string name = rd_kafka_ConfigResource_name(resources[i]);
    if (const auto error = rd_kafka_ConfigResource_error(resources[i]); error != RD_KAFKA_RESP_ERR_NO_ERROR) {
      return ToStatus(error, absl::StrCat("settings of ", name));
    }
    settings[name];
    size_t entries = 0;
    const rd_kafka_ConfigEntry_t** entry = rd_kafka_ConfigResource_configs(resources[i], &entries);
    for (size_t k = 0; k < entries; ++k) {
      const char* value = rd_kafka_ConfigEntry_value(entry[k]);
      if (set_here_only && rd_kafka_ConfigEntry_source(entry[k]) != RD_KAFKA_CONFIG_SOURCE_DYNAMIC_TOPIC_CONFIG)
        continue;
      settings[name][rd_kafka_ConfigEntry_name(entry[k])] = value == nullptr ? "" : value;
    }
  }
  return settings;
}

}  // namespace

Admin::Admin(std::unique_ptr<RdKafka::Producer> client) : client_(std::move(client)) {}
Admin::~Admin() = default;

absl::StatusOr<std::unique_ptr<Admin>> Admin::Make(const Settings& client) {
  HUB_ASSIGN_OR_RETURN(auto made, MakeAdminClient(client));
  return std::unique_ptr<Admin>(new Admin(std::move(made)));
}

std::string Admin::ClusterId(absl::Duration timeout) {
  std::string id = client_->clusterid(ToMillis(timeout));
  if (id.empty()) client_->poll(100);  // why: events are told by it
  return id;
}

absl::Status Admin::Ping(absl::Duration timeout) {
  // "No topics" is asked by naming none locally: the answer lists the brokers only.
  const rd_kafka_metadata_t* metadata = nullptr;
  const rd_kafka_resp_err_t error =
      rd_kafka_metadata(client_->c_ptr(), /*all_topics=*/0, nullptr, &metadata, ToMillis(timeout));
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) return ToStatus(error, "no broker answers");
  rd_kafka_metadata_destroy(metadata);
  return absl::OkStatus();
}

absl::StatusOr<std::map<std::string, int32_t>> Admin::PartitionCounts(const std::vector<std::string>& topics,
                                                                      absl::Duration timeout) {
  std::map<std::string, int32_t> counts;
  for (const std::string& topic : topics) counts[topic] = 0;
  const rd_kafka_metadata_t* metadata = nullptr;
  const rd_kafka_resp_err_t error =
      rd_kafka_metadata(client_->c_ptr(), /*all_topics=*/1, nullptr, &metadata, ToMillis(timeout));
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) return ToStatus(error, "topics");
  absl::Status leaderless;
  for (int i = 0; i < metadata->topic_cnt; ++i) {
    const rd_kafka_metadata_topic& topic = metadata->topics[i];
    const auto it = counts.find(topic.topic);
    if (it == counts.end()) continue;
    it->second = topic.partition_cnt;
    for (int p = 0; p < topic.partition_cnt; ++p) {
      if (topic.partitions[p].leader < 0)
        leaderless = absl::UnavailableError(absl::StrCat(topic.topic, ": no leader yet"));
    }
  }
  rd_kafka_metadata_destroy(metadata);
  HUB_RETURN_IF_ERROR(leaderless);
  return counts;
}

absl::Status Admin::Create(const std::vector<NewTopic>& topics, absl::Duration timeout) {
  std::vector<Owned<rd_kafka_NewTopic_t>> owned;
  std::vector<rd_kafka_NewTopic_t*> wanted;
  for (const NewTopic& topic : topics) {
    char error[kErrorBytes];
    owned.emplace_back(
        rd_kafka_NewTopic_new(topic.name.c_str(), topic.partitions, topic.replication_factor, error, sizeof(error)),
        rd_kafka_NewTopic_destroy);
    if (owned.back() == nullptr) return absl::InvalidArgumentError(absl::StrCat(topic.name, ": ", error));
    for (const auto& [name, value] : topic.settings)
      rd_kafka_NewTopic_set_config(owned.back().get(), name.c_str(), value.c_str());
    wanted.push_back(owned.back().get());
  }
  HUB_ASSIGN_OR_RETURN(const auto event, Call(
                                             client_->c_ptr(), RD_KAFKA_ADMIN_OP_CREATETOPICS, timeout,
                                             [&](const rd_kafka_AdminOptions_t* options, rd_kafka_queue_t* queue) {
                                               rd_kafka_CreateTopics(client_->c_ptr(), wanted.data(), wanted.size(),
                                                                     options, queue);
                                             },
                                             "create topics"));
  size_t count = 0;
  const rd_kafka_topic_result_t** results =
      rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event.get()), &count);
  for (size_t i = 0; i < count; ++i) {
    const rd_kafka_resp_err_t error = rd_kafka_topic_result_error(results[i]);
    // Somebody else was faster, which is as good; it is checked like one that was there.
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR || error == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) continue;
    return ToStatus(error, absl::StrCat("create ", rd_kafka_topic_result_name(results[i]), ": ",
                                        rd_kafka_topic_result_error_string(results[i])));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::map<std::string, std::map<std::string, std::string>>> Admin::DescribeTopics(
    const std::vector<std::string>& topics, absl::Duration timeout) {
  return Describe(client_->c_ptr(), topics, /*set_here_only=*/false, timeout);
}

absl::Status Admin::ChangeTopics(const std::map<std::string, std::map<std::string, std::string>>& changes,
                                 absl::Duration timeout) {
  std::vector<std::string> topics;
  for (const auto& [topic, settings] : changes) topics.push_back(topic);
  // The call replaces all that a topic has of its own.
  HUB_ASSIGN_OR_RETURN(auto present, Describe(client_->c_ptr(), topics, /*set_here_only=*/true, timeout));
  std::vector<Owned<rd_kafka_ConfigResource_t>> owned;
  std::vector<rd_kafka_ConfigResource_t*> wanted;
  for (const auto& [topic, settings] : changes) {
    owned.emplace_back(rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic.c_str()),
                       rd_kafka_ConfigResource_destroy);
    std::map<std::string, std::string> all = present[topic];
    for (const auto& [name, value] : settings) all[name] = value;
    for (const auto& [name, value] : all)
      rd_kafka_ConfigResource_set_config(owned.back().get(), name.c_str(), value.c_str());
    wanted.push_back(owned.back().get());
  }
  HUB_ASSIGN_OR_RETURN(const auto event, Call(
                                             client_->c_ptr(), RD_KAFKA_ADMIN_OP_ALTERCONFIGS, timeout,
                                             [&](const rd_kafka_AdminOptions_t* options, rd_kafka_queue_t* queue) {
                                               rd_kafka_AlterConfigs(client_->c_ptr(), wanted.data(), wanted.size(),
                                                                     options, queue);
                                             },
                                             "change topics"));
  size_t count = 0;
  const rd_kafka_ConfigResource_t** results =
      rd_kafka_AlterConfigs_result_resources(rd_kafka_event_AlterConfigs_result(event.get()), &count);
  for (size_t i = 0; i < count; ++i) {
    if (const auto error = rd_kafka_ConfigResource_error(results[i]); error != RD_KAFKA_RESP_ERR_NO_ERROR) {
      return ToStatus(error, absl::StrCat("change ", rd_kafka_ConfigResource_name(results[i])));
    }
  }
  return absl::OkStatus();
}

absl::Status Admin::CreateAcls(const std::vector<Acl>& acls, absl::Duration timeout) {
  std::vector<Owned<rd_kafka_AclBinding_t>> owned;
  std::vector<rd_kafka_AclBinding_t*> wanted;
  char error[kErrorBytes];
  for (const Acl& acl : acls) {
    owned.emplace_back(rd_kafka_AclBinding_new(
                           acl.resource == Acl::Resource::kTopic ? RD_KAFKA_RESOURCE_TOPIC : RD_KAFKA_RESOURCE_GROUP,
                           acl.name.c_str(), RD_KAFKA_RESOURCE_PATTERN_LITERAL, absl::StrCat("User:", acl.user).c_str(),
                           "*", ToKafka(acl.operation), RD_KAFKA_ACL_PERMISSION_TYPE_ALLOW, error, sizeof(error)),
                       rd_kafka_AclBinding_destroy);
    if (owned.back() == nullptr) return absl::InvalidArgumentError(absl::StrCat(acl.name, ": ", error));
    wanted.push_back(owned.back().get());
  }
  HUB_ASSIGN_OR_RETURN(const auto event, Call(
                                             client_->c_ptr(), RD_KAFKA_ADMIN_OP_CREATEACLS, timeout,
                                             [&](const rd_kafka_AdminOptions_t* options, rd_kafka_queue_t* queue) {
                                               rd_kafka_CreateAcls(client_->c_ptr(), wanted.data(), wanted.size(),
                                                                   options, queue);
                                             },
                                             "access rules"));
  size_t count = 0;
  const rd_kafka_acl_result_t** results =
      rd_kafka_CreateAcls_result_acls(rd_kafka_event_CreateAcls_result(event.get()), &count);
  for (size_t i = 0; i < count; ++i) {
    if (const rd_kafka_error_t* refused = rd_kafka_acl_result_error(results[i]); refused != nullptr) {
      return ToStatus(rd_kafka_error_code(refused), absl::StrCat("access rules: ", rd_kafka_error_string(refused)));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::map<TopicPartition, OffsetRange>> Admin::Offsets(const std::vector<TopicPartition>& partitions,
                                                                     absl::Duration timeout) {
  // The first offset first: retention may move it, and it must not pass the end that is told.
  HUB_ASSIGN_OR_RETURN(const auto first,
                       ListOffsets(client_->c_ptr(), partitions, RD_KAFKA_OFFSET_BEGINNING, timeout / 2));
  HUB_ASSIGN_OR_RETURN(const auto end, ListOffsets(client_->c_ptr(), partitions, RD_KAFKA_OFFSET_END, timeout / 2));
  std::map<TopicPartition, OffsetRange> ranges;
  for (const TopicPartition& at : partitions) ranges[at] = {first.at(at), end.at(at)};
  return ranges;
}

void Admin::Poll() { client_->poll(0); }

}  // namespace hub::eventlog::kafka

// The newest records of the partitions that somebody follows, fetched by one consumer for all who follow them. Private to kafka_log.
//
// Whoever reads at the end of a partition reads what everybody else there reads. With a consumer for each reader and partition the
// broker answers hundreds of empty fetches a second, and sends each record as often as it has readers; with this one, once.
//
// A partition is followed from a place that its reader found to be the end. From then on a stretch of it is answered from memory, its end
// included; whoever is before the stretch or ahead of it needs a consumer of his own (Readers).
// It ends when its readers fall behind the stretch, so that nothing is fetched twice for long, at an error of the partition, when nothing
// comes though something must (Stretch::kSilenceMax), and after kIdle without a read. Bounds: those of Stretch, for at most kPartitionsMax partitions; more are left to their readers.
// Thread safety: any thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stop_token>

#include "absl/base/thread_annotations.h"
#include "libs/base/clock.h"
#include "libs/base/mutex.h"
#include "libs/base/thread.h"
#include "libs/eventlog/kafka_config.h"
#include "libs/eventlog/kafka_stretch.h"
#include "libs/eventlog/log.h"

namespace RdKafka {
class KafkaConsumer;
class Message;
}  // namespace RdKafka

namespace hub::eventlog::kafka {

class Tail {
 public:
  static constexpr absl::Duration kIdle = absl::Minutes(1);
  static constexpr size_t kPartitionsMax = 1024;
  // How long a partition that ended is left to its readers.
  static constexpr absl::Duration kLeftAlone = absl::Seconds(5);

  // `news` runs on the tail's thread, without its locks: these partitions have records, or are not followed any more.
  using News = std::function<void(const std::set<TopicPartition>&)>;
  Tail(Settings consumer_settings, const base::Clock* clock, News news);
  ~Tail();

  // `end` is where a reader has just found the partition's end. Takes effect soon, if at all.
  void Follow(const TopicPartition& at, Offset end);
  // The partition's end as somebody has asked for it: a stretch that does not get there in time ends.
  void NoteEnd(const TopicPartition& at, Offset end);
  // As Log::Read; nullopt: not in the stretch.
  std::optional<ReadResult> Read(const TopicPartition& at, Offset from, const ReadLimits& limits);

  enum class Place { kElsewhere, kBeforeEnd, kAtEnd };
  // Where in its partition's stretch an offset is. Who asks still follows.
  Place Find(const TopicPartition& at, Offset offset);

 private:
  void Run(const std::stop_token& stop);
  // Makes the consumer if there is none. False: that failed, for now.
  bool HaveConsumer();
  void BeginWanted();
  // Takes what has come, waiting for the first.
  void TakeIn();
  // False: there was none.
  bool TakeIn(const RdKafka::Message& message);
  void EndUnused();
  void End(const TopicPartition& at);

  const Settings settings_;
  const base::Clock* const clock_;
  const News news_;
  std::unique_ptr<RdKafka::KafkaConsumer> consumer_;  // of the thread, as are the next three
  std::set<TopicPartition> told_;                     // to be told of
  absl::Duration look_at_ = absl::ZeroDuration();     // for unused ones
  absl::Duration retry_at_ = absl::ZeroDuration();    // to make a consumer, after that failed

  base::Mutex mu_;
  base::CondVar wake_;  // the thread, while nothing is followed
  std::map<TopicPartition, Stretch> followed_ ABSL_GUARDED_BY(mu_);
  std::map<TopicPartition, Offset> wanted_ ABSL_GUARDED_BY(mu_);
  std::map<TopicPartition, absl::Duration> left_alone_until_ ABSL_GUARDED_BY(mu_);
  base::Thread thread_;
};

}  // namespace hub::eventlog::kafka

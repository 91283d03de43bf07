// The peer of P11: a bare librdkafka producer (acks=all, idempotent, linger 0) and a bare consumer on one broker, paced like the hub's
// reports. Milliseconds from produce to consume.
//
//   bench_p11_kafka_pair --brokers host:port --records N --rate R
#include <librdkafka/rdkafka.h>     // tidy:third-party-ok makes the topic
#include <librdkafka/rdkafkacpp.h>  // tidy:third-party-ok the peer it is measured against

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"

namespace {

using SteadyClock = std::chrono::steady_clock;

struct Wanted {
  std::string brokers;
  int records = 2000;
  double rate = 200;
};

std::unique_ptr<RdKafka::Conf> Settings(const Wanted& wanted,
                                        const std::vector<std::pair<std::string, std::string>>& more) {
  std::unique_ptr<RdKafka::Conf> conf(RdKafka::Conf::create(RdKafka::Conf::CONF_GLOBAL));
  std::string error;
  conf->set("bootstrap.servers", wanted.brokers, error);
  for (const auto& [name, value] : more) {
    if (conf->set(name, value, error) != RdKafka::Conf::CONF_OK) std::fprintf(stderr, "p11: %s\n", error.c_str());
  }
  return conf;
}

// The broker makes no topics by itself. False: it could not be made; why is on stderr.
bool MakeTopic(rd_kafka_t* client, const std::string& topic) {
  constexpr int kPatienceMillis = 30'000;
  char error[512];
  rd_kafka_NewTopic_t* wanted = rd_kafka_NewTopic_new(topic.c_str(), 1, 1, error, sizeof(error));
  rd_kafka_queue_t* queue = rd_kafka_queue_new(client);
  rd_kafka_CreateTopics(client, &wanted, 1, nullptr, queue);
  rd_kafka_event_t* event = rd_kafka_queue_poll(queue, kPatienceMillis);
  rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR__TIMED_OUT;
  if (event != nullptr) {
    code = rd_kafka_event_error(event);
    size_t count = 0;
    const rd_kafka_topic_result_t** results =
        rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
    for (size_t i = 0; i < count && code == RD_KAFKA_RESP_ERR_NO_ERROR; ++i)
      code = rd_kafka_topic_result_error(results[i]);
    rd_kafka_event_destroy(event);
  }
  rd_kafka_queue_destroy(queue);
  rd_kafka_NewTopic_destroy(wanted);
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) std::fprintf(stderr, "p11: topic: %s\n", rd_kafka_err2str(code));
  return code == RD_KAFKA_RESP_ERR_NO_ERROR;
}

double Percentile(std::vector<double>* values, double part) {
  if (values->empty()) return 0;
  const auto at = values->begin() + static_cast<std::ptrdiff_t>(part * static_cast<double>(values->size() - 1));
  std::nth_element(values->begin(), at, values->end());
  return *at;
}

}  // namespace

int main(int argc, char** argv) {
  Wanted wanted;
  CLI::App app{"A bare producer and a bare consumer."};
  app.add_option("--brokers", wanted.brokers, "host:port")->required();
  app.add_option("--records", wanted.records, "how many");
  app.add_option("--rate", wanted.rate, "per second");
  CLI11_PARSE(app, argc, argv);

  std::string error;
  const std::string topic = absl::StrCat("bench.pair.", SteadyClock::now().time_since_epoch().count());
  const std::unique_ptr<RdKafka::Producer> producer(RdKafka::Producer::create(
      Settings(wanted, {{"acks", "all"}, {"enable.idempotence", "true"}, {"linger.ms", "0"}}).get(), error));
  const std::unique_ptr<RdKafka::KafkaConsumer> consumer(RdKafka::KafkaConsumer::create(
      Settings(wanted, {{"group.id", topic}, {"fetch.wait.max.ms", "5"}, {"auto.offset.reset", "earliest"}}).get(),
      error));
  if (producer == nullptr || consumer == nullptr) {
    std::fprintf(stderr, "p11: %s\n", error.c_str());
    return 1;
  }
  if (!MakeTopic(producer->c_ptr(), topic)) return 1;

  const std::string payload(300, 'x');
  const auto produce = [&](SteadyClock::time_point at) {
    std::string value(sizeof(int64_t), '\0');
    const int64_t nanos = at.time_since_epoch().count();
    std::memcpy(value.data(), &nanos, sizeof(nanos));
    value += payload;
    producer->produce(topic, 0, RdKafka::Producer::RK_MSG_COPY, value.data(), value.size(), nullptr, 0, 0, nullptr);
    producer->poll(0);
  };
  produce(SteadyClock::now());  // warms the connections; the consumer starts behind it
  producer->flush(10'000);
  std::unique_ptr<RdKafka::TopicPartition> place(RdKafka::TopicPartition::create(topic, 0, 1));
  consumer->assign({place.get()});

  std::thread sender([&] {
    const auto start = SteadyClock::now() + std::chrono::seconds(1);
    for (int i = 0; i < wanted.records; ++i) {
      std::this_thread::sleep_until(  // tidy:sleep-ok paced load
          start + std::chrono::duration_cast<SteadyClock::duration>(std::chrono::duration<double>(i / wanted.rate)));
      produce(SteadyClock::now());
    }
    producer->flush(10'000);
  });
  std::vector<double> millis;
  const auto give_up = SteadyClock::now() + std::chrono::seconds(30 + static_cast<int>(wanted.records / wanted.rate));
  while (millis.size() < static_cast<size_t>(wanted.records) && SteadyClock::now() < give_up) {
    const std::unique_ptr<RdKafka::Message> message(consumer->consume(100));
    if (message->err() != RdKafka::ERR_NO_ERROR || message->len() < sizeof(int64_t)) continue;
    int64_t nanos = 0;
    std::memcpy(&nanos, message->payload(), sizeof(nanos));
    const SteadyClock::duration took = SteadyClock::now().time_since_epoch() - SteadyClock::duration(nanos);
    millis.push_back(std::chrono::duration<double, std::milli>(took).count());
  }
  sender.join();
  consumer->close();
  std::printf("{\"records\":%zu,\"p50_ms\":%.2f,\"p99_ms\":%.2f}\n", millis.size(), Percentile(&millis, 0.5),
              Percentile(&millis, 0.99));
  return millis.size() == static_cast<size_t>(wanted.records) ? 0 : 1;
}

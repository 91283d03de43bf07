#include "bench/swarm/swarm.h"

#include <google/protobuf/text_format.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <fstream>
#include <random>
#include <sstream>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "bench/swarm/checker.h"
#include "bench/swarm/corrections.h"
#include "bench/swarm/endpoint.h"
#include "bench/swarm/h2_stream.h"
#include "bench/swarm/latency.h"
#include "bench/swarm/member.h"
#include "bench/swarm/mix.h"
#include "bench/swarm/peak_rate.h"
#include "bench/swarm/receiver.h"
#include "bench/swarm/view.h"
#include "fraudhub/config/v1/policy.pb.h"
#include "fraudhub/v1/indicator.pb.h"
#include "fraudhub/v1/subscription.pb.h"
#include "libs/base/clock.h"
#include "libs/base/status_macros.h"

namespace hub::swarm {
namespace {

namespace api = fraudhub::v1;
namespace config = fraudhub::config::v1;

constexpr char kPath[] = "/fraudhub.v1.SubscriptionService/Subscribe";
constexpr int kConnectsPerTurn = 8;  // a storm of handshakes would measure itself
constexpr int kConnectsPerTurnInStorm = 1000;

bool IsWithdrawal(int kind) {
  return kind == api::EVENT_KIND_CLEARED || kind == api::EVENT_KIND_RETRACTED || kind == api::EVENT_KIND_RESCINDED ||
         kind == api::EVENT_KIND_LEVEL_LOWERED;
}

}  // namespace

class Swarm::Impl {
 public:
  absl::Status Open(const SwarmOptions& options);
  absl::Status Run();
  void Stop() { stop_.store(true, std::memory_order_relaxed); }
  void StartFigures() { figures_asked_.fetch_add(1, std::memory_order_relaxed); }
  void StartStorm() { storms_asked_.fetch_add(1, std::memory_order_relaxed); }
  std::string Report() const;

 private:
  void TakeStorm();
  absl::Status AddMember(const config::Stakeholder& stakeholder, const std::string& principal, int index, bool auditor);
  void ConnectDue();
  void Connect(Member* member);
  void Break(Member* member, const absl::Status& why, absl::Duration hint);
  void OnMessage(Member* member, absl::string_view bytes);
  void OnEvent(Member* member, const Told& told);
  void NoteCorrection(Member* member, KeyId key, const EventHead& head, bool held);
  void Acknowledge(Member* member);
  // Asks epoll for what the stream waits for.
  void Watch(Member* member, int operation);
  // One costs the hub as much as a write: thousands of streams acknowledge more rarely.
  absl::Duration AckInterval() const { return absl::Milliseconds(std::max<size_t>(500, members_.size())); }
  bool Settled() const;
  void CompareViews();
  absl::Status Verdict() const;
  void WriteStatus() const;
  int Connected() const;

  SwarmOptions options_;
  base::RealClock clock_;
  config::Policy policy_;
  std::vector<sockaddr_in> servers_, auditor_servers_;
  int epoll_ = -1;
  std::vector<std::unique_ptr<Member>> members_;  // the auditor is the last
  KeyTable keys_;
  Auditor auditor_;
  std::unique_ptr<Checker> checker_;  // with --check
  std::mt19937_64 random_;
  std::atomic<bool> stop_{false};
  std::atomic<int> figures_asked_{0}, storms_asked_{0};
  int storms_ = 0;
  absl::Duration storm_back_at_;  // of the last
  int64_t storm_live_ms_ = -1;    // from then until all were live; -1: not yet
  uint64_t without_token_ = 0;    // opens
  int malformed_ = 0;             // messages
  PeakRate opens_;
  int figures_ = 0;  // how often they were begun anew

  absl::Duration started_;
  int64_t started_micros_ = 0;
  absl::Duration now_;  // of the message that is being read
  int64_t now_micros_ = 0;
  absl::Duration last_event_;
  Positions settled_at_;  // the auditor's positions after its last event
  uint64_t deliveries_ = 0;
  Latency latency_;
  Corrections corrections_;
  int views_compared_ = 0, views_equal_ = 0;
  std::vector<std::string> unequal_;
};

absl::Status Swarm::Impl::Open(const SwarmOptions& options) {
  options_ = options;
  random_.seed(options.seed);
  std::ifstream file(options.policy_file);
  std::stringstream text;
  text << file.rdbuf();
  if (!file || !google::protobuf::TextFormat::ParseFromString(text.str(), &policy_)) {
    return absl::InvalidArgumentError(absl::StrCat("--policy ", options.policy_file, ": not a readable policy"));
  }
  HUB_ASSIGN_OR_RETURN(servers_, ParseAddresses(options.server));
  HUB_ASSIGN_OR_RETURN(auditor_servers_,
                       ParseAddresses(options.auditor_server.empty() ? options.server : options.auditor_server));
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  if (options.check) checker_ = std::make_unique<Checker>(policy_, options.checker);

  std::vector<int> may_subscribe;
  for (const auto& grant : policy_.grants()) {
    for (const auto& rpc : grant.rpcs()) {
      if (rpc == "SubscriptionService.Subscribe" && grant.role() != api::ROLE_ANALYST)
        may_subscribe.push_back(grant.role());
    }
  }
  int index = 0, taken = 0;
  const config::Stakeholder* auditor = nullptr;
  const std::vector<std::string> auditor_name = absl::StrSplit(options.auditor, '/');
  for (const auto& stakeholder : policy_.stakeholders()) {
    if (stakeholder.id() == auditor_name[0]) auditor = &stakeholder;
    if (std::find(may_subscribe.begin(), may_subscribe.end(), stakeholder.role()) == may_subscribe.end()) continue;
    const int place = index++;
    if (const int part = place % options.slices; part < options.slice || part >= options.slice + options.slice_count)
      continue;
    if (options.stakeholders_max > 0 && taken >= options.stakeholders_max) continue;
    ++taken;
    const std::string principal = stakeholder.principals().empty() ? "main" : stakeholder.principals(0).name();
    for (int copy = 0; copy < options.copies; ++copy) {
      if (absl::Status status = AddMember(stakeholder, principal, place, false); !status.ok()) return status;
    }
  }
  if (auditor == nullptr || auditor_name.size() != 2) {
    return absl::InvalidArgumentError("--auditor: want stakeholder/principal of an analyst in the policy");
  }
  return AddMember(*auditor, auditor_name[1], 0, true);
}

absl::Status Swarm::Impl::AddMember(const config::Stakeholder& stakeholder, const std::string& principal, int index,
                                    bool auditor) {
  auto member = std::make_unique<Member>();
  member->stakeholder = &stakeholder;
  member->auditor = auditor;
  member->server = members_.size();
  if (!auditor && options_.filters) member->filter = FilterFor(stakeholder, index);
  if (!auditor && index * 37 % 100 < options_.cursor_percent) member->cursor = options_.cursor;
  if (!options_.identities.empty()) {
    auto identity = LoadIdentity(absl::StrCat(options_.identities, "/", stakeholder.id(), "/", principal));
    if (!identity.ok()) return identity.status();
    member->identity = *std::move(identity);
  }
  member->receiver = std::make_unique<Receiver>(&keys_, auditor || members_.size() % static_cast<size_t>(options_.look_into) == 0);
  member->packed = members_.size() % 8 != 7;
  if (checker_) member->number = checker_->AddStream(stakeholder, member->filter, auditor, member->receiver.get());
  members_.push_back(std::move(member));
  return absl::OkStatus();
}

void Swarm::Impl::ConnectDue() {
  int started = 0;
  const absl::Duration now = clock_.Monotonic();
  for (const auto& member : members_) {
    if (member->stream != nullptr || now < member->connect_at) continue;
    if (options_.come_later && figures_ == 0 && !member->auditor) continue;
    Connect(member.get());
    if (++started >= (storms_ > 0 ? kConnectsPerTurnInStorm : kConnectsPerTurn)) return;
  }
}

void Swarm::Impl::Connect(Member* member) {
  member->opened = false;
  member->receiver->OnConnect();
  const std::vector<sockaddr_in>& servers = member->auditor ? auditor_servers_ : servers_;
  const size_t node = member->server++ % servers.size();
  if (checker_ != nullptr)
    checker_->OnConnect(member->number, node, !member->receiver->token().empty(), clock_.Monotonic());
  member->stream = std::make_unique<H2Stream>(member->identity.get(), servers[node], kPath,
                                              [this, member](absl::string_view bytes) { OnMessage(member, bytes); });
  if (absl::Status status = member->stream->Connect(); !status.ok()) {
    Break(member, status, absl::ZeroDuration());
    return;
  }
  api::SubscribeRequest request;
  *request.mutable_open()->mutable_filter() = member->filter;
  const bool snapshot = options_.snapshots && !member->auditor;
  const api::StreamStart start = snapshot            ? api::STREAM_START_SNAPSHOT
                                 : options_.from_now ? api::STREAM_START_NOW
                                                     : api::STREAM_START_EARLIEST;
  if (!member->cursor.empty()) {
    request.mutable_open()->set_cursor(member->cursor);
    request.mutable_open()->set_cursor_start(start);
  } else if (member->receiver->token().empty()) {
    ++without_token_;
    request.mutable_open()->set_start(start);
  } else {
    request.mutable_open()->set_token(member->receiver->token());
  }
  // The auditor is the reference for order: nothing overtakes there.
  request.mutable_open()->set_urgent(options_.urgent && !member->auditor);
  request.mutable_open()->set_packed(member->packed);
  request.mutable_open()->set_client_id("hub-swarm");
  member->stream->Send(request.SerializeAsString());
  Watch(member, EPOLL_CTL_ADD);
}

void Swarm::Impl::Watch(Member* member, int operation) {
  const bool writes = operation == EPOLL_CTL_ADD || member->stream->wants_write();
  if (operation == EPOLL_CTL_MOD && writes == member->waits_to_write) return;
  member->waits_to_write = writes;
  epoll_event event{};
  event.events = EPOLLIN | (member->waits_to_write ? static_cast<uint32_t>(EPOLLOUT) : 0u);
  event.data.ptr = member;
  epoll_ctl(epoll_, operation, member->stream->fd(), &event);
}

void Swarm::Impl::Break(Member* member, const absl::Status& why, absl::Duration hint) {
  member->stream.reset();  // closing the socket takes it out of the epoll set
  member->last_error = std::string(why.message());
  // The hub's refusals say what to do (model::Refuse); the rest of what it ends in order, it must have announced.
  const bool afresh =
      absl::StrContains(why.message(), "snapshot") || absl::StrContains(why.message(), "without%20the%20token");
  const bool refused =
      afresh || absl::StrContains(why.message(), "open%20again") || absl::StrContains(why.message(), "open again");
  if (afresh) {
    if (options_.snapshots) {
      member->receiver->ForgetToken();
    } else {
      member->receiver->ForgetAll();
    }
  }
  if (checker_ != nullptr) {
    // Other ends than a drain's are errors with a code (a log that doesn't answer): the client comes back by itself.
    const bool drain = !refused && absl::StrContains(why.message(), "shutting");
    checker_->OnBreak(member->number, drain, clock_.Monotonic());
  }
  if (member->opened) ++member->reconnects;
  member->opened = false;
  // Full jitter; the hub's hint is the least.
  const double cap = std::min(5.0, 0.1 * (1 << std::min(member->attempts++, 10)));
  const absl::Duration pause = absl::Seconds(std::uniform_real_distribution<double>(0, cap)(random_));
  member->connect_at = clock_.Monotonic() + std::max({hint, member->hint, pause});
  member->hint = absl::ZeroDuration();
}

void Swarm::Impl::OnMessage(Member* member, absl::string_view bytes) {
  Message message;
  now_ = clock_.Monotonic();
  now_micros_ = absl::ToUnixMicros(clock_.TimeNow());
  malformed_ += member->receiver->OnMessage(bytes, [&](const Told& told) { OnEvent(member, told); }, &message) ? 0 : 1;
  if (message.opened) {
    if (!member->cursor.empty() && !member->ever_opened) {
      api::SubscribeResponse response;
      response.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
      for (const auto& [partition, position] : response.opened().positions()) member->partial |= position > 0;
    }
    member->opened = true;
    member->ever_opened = true;
    member->attempts = 0;
    opens_.Note(now_);
    member->start = message.start;
    member->goal = message.end;
  }
  if (message.drain) member->hint = message.reconnect_after;
  if (!member->receiver->looks_into() && message.events > 0) {
    last_event_ = now_;
    member->deliveries += static_cast<uint64_t>(message.events);
    deliveries_ += static_cast<uint64_t>(message.events);
  }
  if (checker_ != nullptr) checker_->OnMessage(member->number, message, bytes.size(), now_, now_micros_);
  if (now_ - member->acked_at > AckInterval()) Acknowledge(member);
}

void Swarm::Impl::OnEvent(Member* member, const Told& told) {
  if (checker_ != nullptr) checker_->OnEvent(member->number, told);
  if (!told.applied) {
    ++member->duplicates;
    return;
  }
  last_event_ = now_;
  if (member->auditor) {
    api::Event event;
    if (event.ParseFromArray(told.bytes.data(), static_cast<int>(told.bytes.size()))) auditor_.Apply(told.key, event);
    return;
  }
  ++member->deliveries;
  ++deliveries_;
  if (told.head.received_micros >= started_micros_) {
    latency_.Add(absl::Microseconds(now_micros_ - told.head.received_micros));
  }
  if (IsWithdrawal(told.head.kind)) NoteCorrection(member, told.key, told.head, told.held_before);
}

void Swarm::Impl::NoteCorrection(Member* member, KeyId key, const EventHead& head, bool held) {
  if (!held || head.received_micros < started_micros_) return;
  corrections_.Note(key, head, clock_.TimeNow(), [&] {
    return static_cast<int>(std::count_if(members_.begin(), members_.end(), [&](const auto& other) {
      return other.get() != member && !other->auditor && other->receiver->view().Holds(key);
    }));
  });
}

void Swarm::Impl::Acknowledge(Member* member) {
  if (member->stream == nullptr) return;
  if (member->receiver->positions().empty() && member->receiver->snapshot_parts() == 0) return;
  member->acked_at = clock_.Monotonic();
  api::SubscribeRequest request;
  const Positions& positions = member->receiver->positions();
  const Positions& urgent = member->receiver->urgent_positions();
  for (size_t p = 0; p < positions.size(); ++p) {
    if (positions.at(p) >= 0) (*request.mutable_ack()->mutable_positions())[static_cast<int32_t>(p)] = positions.at(p);
  }
  for (size_t p = 0; p < urgent.size(); ++p) {
    if (urgent.at(p) >= 0) (*request.mutable_ack()->mutable_urgent_positions())[static_cast<int32_t>(p)] = urgent.at(p);
  }
  request.mutable_ack()->set_snapshot_parts(member->receiver->snapshot_parts());
  member->stream->Send(request.SerializeAsString());
}

int Swarm::Impl::Connected() const {
  return static_cast<int>(
      std::count_if(members_.begin(), members_.end(), [](const auto& m) { return m->opened && !m->auditor; }));
}

// Everybody is connected and past the auditor's position of a while ago, and nothing came since.
bool Swarm::Impl::Settled() const {
  for (const auto& member : members_) {
    if (!member->opened || !member->receiver->positions().Covers(settled_at_)) return false;
  }
  return true;
}

void Swarm::Impl::CompareViews() {
  views_compared_ = views_equal_ = 0;
  unequal_.clear();
  for (const auto& member : members_) {
    if (member->auditor || member->partial || !member->receiver->looks_into()) continue;
    ++views_compared_;
    const std::string problem =
        Compare(member->receiver->view(), auditor_, ExpectedView(policy_, *member->stakeholder, member->filter));
    if (problem.empty()) {
      ++views_equal_;
    } else if (unequal_.size() < 10) {
      unequal_.push_back(
          absl::StrCat(member->stakeholder->id(), ": ", problem,
                       member->opened ? "" : absl::StrCat(" (not connected: ", member->last_error, ")")));
    }
  }
}

void Swarm::Impl::TakeStorm() {
  const absl::Duration now = clock_.Monotonic();
  if (const int asked = storms_asked_.load(std::memory_order_relaxed); asked != storms_) {
    storms_ = asked, storm_live_ms_ = -1;
    storm_back_at_ = now + options_.storm_away;
    for (const auto& member : members_) {
      if (member->stream != nullptr) Break(member.get(), absl::UnavailableError("the storm"), absl::ZeroDuration());
      member->connect_at = storm_back_at_;
    }
  }
  if (storms_ == 0 || storm_live_ms_ >= 0 || now < storm_back_at_) return;
  if (std::all_of(members_.begin(), members_.end(), [](const auto& member) { return IsLive(*member); })) {
    storm_live_ms_ = absl::ToInt64Milliseconds(now - storm_back_at_);
  }
}

absl::Status Swarm::Impl::Run() {
  started_ = clock_.Monotonic();
  started_micros_ = absl::ToUnixMicros(clock_.TimeNow());
  last_event_ = started_;
  absl::Duration next_status = started_;
  absl::Duration quiet_since = absl::InfiniteDuration();
  std::vector<epoll_event> ready(256);
  while (!stop_.load(std::memory_order_relaxed)) {
    if (const int asked = figures_asked_.load(std::memory_order_relaxed); asked != figures_) {
      figures_ = asked;
      opens_.Clear();
      latency_.Clear();
      corrections_.Clear();
    }
    TakeStorm();
    ConnectDue();
    const int count = epoll_wait(epoll_, ready.data(), static_cast<int>(ready.size()), 20);
    for (int i = 0; i < count; ++i) {
      auto* member = static_cast<Member*>(ready[static_cast<size_t>(i)].data.ptr);
      if (member->stream == nullptr) continue;
      if (absl::Status status = member->stream->OnReady(); !status.ok()) {
        Break(member, status, absl::ZeroDuration());
        continue;
      }
      Watch(member, EPOLL_CTL_MOD);
    }
    const absl::Duration now = clock_.Monotonic();
    if (checker_ != nullptr) checker_->OnTurn(now);
    if (now >= next_status) {
      next_status = now + absl::Milliseconds(500);
      for (const auto& member : members_) {
        if (now - member->acked_at > AckInterval()) Acknowledge(member.get());
        if (member->stream != nullptr) Watch(member.get(), EPOLL_CTL_MOD);
      }
      WriteStatus();
      if (now - started_ >= options_.run_for) break;
      // Quiet: fix the auditor's positions once, then wait until everybody has passed them.
      const bool quiet = now - last_event_ >= options_.until_quiet && keys_.size() > 0;
      if (!quiet) {
        quiet_since = absl::InfiniteDuration();
      } else if (quiet_since == absl::InfiniteDuration()) {
        quiet_since = now;
        settled_at_ = members_.back()->receiver->positions();
      } else if (Settled()) {
        break;
      } else if (now - quiet_since > absl::Seconds(60)) {
        break;  // somebody never came: the comparison will say who
      }
    }
  }
  if (!options_.from_now) CompareViews();
  if (checker_ != nullptr) checker_->Finish();
  WriteStatus();
  return Verdict();
}

absl::Status Swarm::Impl::Verdict() const {
  std::string text;
  if (malformed_ > 0) text = absl::StrCat(malformed_, " messages could not be taken apart\n");
  if (views_equal_ != views_compared_) {
    absl::StrAppend(&text, "views equal: ", views_equal_, " of ", views_compared_);
    for (const std::string& problem : unequal_) absl::StrAppend(&text, "\n  ", problem);
  }
  if (checker_ != nullptr) {
    for (const std::string& problem : checker_->problems()) absl::StrAppend(&text, "\ncheck: ", problem);
    for (const absl::string_view name : checker_->NotTested(options_.require))
      absl::StrAppend(&text, "\ncheck: never tested: ", name);
  }
  return text.empty() ? absl::OkStatus() : absl::FailedPreconditionError(text);
}

void Swarm::Impl::WriteStatus() const {
  if (options_.status_file.empty()) return;
  const std::string next = options_.status_file + ".next";
  std::ofstream(next) << Report() << "\n";
  std::rename(next.c_str(), options_.status_file.c_str());  // readers never see half a file
}

std::string Swarm::Impl::Report() const {
  uint64_t duplicates = 0, reconnects = 0;
  int cursors = 0, cursors_resumed = 0;
  for (const auto& member : members_) {
    cursors += member->cursor.empty() ? 0 : 1;
    cursors_resumed += member->partial ? 1 : 0;
    duplicates += member->duplicates;
    reconnects += member->reconnects;
  }
  return absl::StrFormat(
      "{\"stakeholders\":%d,\"connected\":%d,\"indicators\":%d,\"deliveries\":%d,\"duplicates\":%d,\"reconnects\":%d,"
      "\"latency_ms\":{\"count\":%d,\"p50\":%.2f,\"p99\":%.2f,\"max\":%.2f},\"views_compared\":%d,\"views_equal\":%d,"
      "\"cursors\":%d,\"cursors_resumed\":%d,\"figures\":%d,\"opened_without_token\":%d,\"storms\":%d,"
      "\"storm_live_ms\":%d,\"opens_peak\":%d,%s%s}",
      members_.empty() ? 0 : members_.size() - 1, Connected(), keys_.size(), deliveries_, duplicates, reconnects,
      latency_.count(), absl::ToDoubleMilliseconds(latency_.Quantile(0.5)),
      absl::ToDoubleMilliseconds(latency_.Quantile(0.99)), absl::ToDoubleMilliseconds(latency_.max()), views_compared_,
      views_equal_, cursors, cursors_resumed, figures_, without_token_, storms_, storm_live_ms_, opens_.most(),
      corrections_.Report(),
      checker_ == nullptr ? "" : absl::StrCat(",\"check\":", checker_->Report()));
}

Swarm::Swarm(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Swarm::~Swarm() = default;

absl::StatusOr<std::unique_ptr<Swarm>> Swarm::Create(const SwarmOptions& options) {
  auto impl = std::make_unique<Impl>();
  if (absl::Status status = impl->Open(options); !status.ok()) return status;
  return std::unique_ptr<Swarm>(new Swarm(std::move(impl)));
}

absl::Status Swarm::Run() { return impl_->Run(); }
void Swarm::Stop() { impl_->Stop(); }
void Swarm::StartFigures() { impl_->StartFigures(); }
void Swarm::StartStorm() { impl_->StartStorm(); }
std::string Swarm::Report() const { return impl_->Report(); }

}  // namespace hub::swarm

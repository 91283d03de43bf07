#include "libs/client/verdict_fetcher.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <chrono>
#include <memory>
#include <utility>

#include "absl/strings/string_view.h"
#include "fraudhub/v1/lookup.grpc.pb.h"
#include "libs/base/log.h"
#include "libs/rpc/status.h"

namespace hub::client {
namespace {

namespace v1 = ::fraudhub::v1;

constexpr absl::Duration kLookAgain = absl::Milliseconds(500);
constexpr absl::Duration kCallMax = absl::Minutes(5);  // a call that takes longer is ended, and gone on with
constexpr absl::Duration kPauseBase = absl::Seconds(1);
constexpr absl::Duration kPauseMax = absl::Seconds(30);
constexpr absl::Duration kPauseTooLarge = absl::Minutes(10);  // it will be as large the next time

// What merely broke is gone on with, at another address perhaps. All else is damage, or of parts or rights that have changed.
bool GoesOn(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) || absl::IsResourceExhausted(status) ||
         absl::IsCancelled(status);
}

absl::string_view EffectOf(const absl::Status& status) {
  if (absl::IsUnimplemented(status)) {
    return "answers wait for the snapshot; hub.query_address must name a hub-query or hub-all";
  }
  return "answers wait for the snapshot";
}

}  // namespace

VerdictFetcher::VerdictFetcher(ConnectionOptions hub, absl::Duration age_max, const base::Clock* clock,
                               base::Metrics* metrics)
    : hub_(std::move(hub)), age_max_(age_max), clock_(clock) {
  const auto calls = [&](const char* result) {
    return metrics->AddCounter("fraudhub_edge_verdict_sets_total", "Compact sets of verdicts asked for, by result",
                               {{"result", result}});
  };
  fetched_ = calls("fetched");
  broken_ = calls("broken");
  bytes_ = metrics->AddCounter("fraudhub_edge_verdict_set_bytes_total", "Bytes of compact sets received");
}

bool VerdictFetcher::Wanted(const LocalView& view) const {
  // Before it is needed: what the view held before a snapshot under other rights grows too old while that runs.
  if (!view.incomplete() || view.freshness().age <= age_max_ / 2) return false;
  const std::shared_ptr<const FirstVerdicts> held = view.first_verdicts();
  return held == nullptr || held->HubNow(clock_->Monotonic()) - held->complete_until > age_max_ / 2;
}

void VerdictFetcher::Run(LocalView* view, const std::stop_token& stop) {
  const std::stop_callback wake(stop, [this] {
    base::MutexLock lock(&mu_);
    changed_.NotifyAll();
  });
  absl::StatusOr<Channels> channels = Channels::Make(hub_);
  if (!channels.ok()) {
    HUB_LOG(ERROR, "verdict_set_not_asked_for", {{"why", channels.status().message()}});
    return;
  }
  Backoff backoff(kPauseBase, kPauseMax, RandomSeed());
  VerdictCollector collector;
  uint64_t view_number = view->view_number();
  while (!stop.stop_requested()) {
    if (!Wanted(*view)) {
      collector.Reset();
      if (view->first_verdicts() != nullptr && !view->incomplete() && view->freshness().age <= age_max_) {
        view->DropFirstVerdicts();
      }
      Pause(stop, kLookAgain);
      continue;
    }
    if (view_number != view->view_number()) collector.Reset();
    view_number = view->view_number();
    const absl::Duration began = clock_->Monotonic();
    absl::Duration retry_after;
    absl::Status done = Fetch(&*channels, &collector, stop, &retry_after);
    if (stop.stop_requested()) return;
    if (done.ok()) {
      absl::StatusOr<FirstVerdicts> verdicts = collector.Finish();
      if (verdicts.ok()) {
        HUB_LOG(INFO, "verdict_set_fetched",
                {{"verdicts", static_cast<int64_t>(verdicts->set.size())},
                 {"seconds", absl::ToDoubleSeconds(clock_->Monotonic() - began)}});
        view->UseFirstVerdicts(view_number, std::make_shared<const FirstVerdicts>(*std::move(verdicts)));
        fetched_.Increment();
        backoff.Reset();
        channels->NoteSuccess();
        // Not wanted again before it has reached half its bound; this is for a hub that is so far behind that it has when it comes.
        Pause(stop, kPauseBase);
        continue;
      }
      done = verdicts.status();
    }
    broken_.Increment();
    HUB_LOG_EVERY(10, WARN, "verdict_set_broken", {{"why", done.message()}, {"effect", EffectOf(done)}});
    if (!GoesOn(done)) collector.Reset();
    const bool all_asked = channels->Next();
    if (absl::IsFailedPrecondition(done)) {
      Pause(stop, kPauseTooLarge);
    } else if (!absl::IsResourceExhausted(done)) {
      Pause(stop, backoff.Next(retry_after));
    } else if (all_asked) {  // the hub says when to come for a turn: nothing is gained by pauses that grow
      backoff.Reset();
      Pause(stop, backoff.Next(retry_after));
    }
  }
}

absl::Status VerdictFetcher::Fetch(Channels* channels, VerdictCollector* collector, const std::stop_token& stop,
                                   absl::Duration* retry_after) {
  grpc::ClientContext context;
  const auto now = std::chrono::system_clock::now();  // tidy:clock-ok gRPC takes deadlines of the wall clock
  context.set_deadline(now + absl::ToChronoNanoseconds(kCallMax));
  const std::stop_callback cancel(stop, [&] { context.TryCancel(); });
  v1::GetVerdictSetRequest request;
  collector->Ask(clock_->Monotonic(), &request);
  const auto stub = v1::LookupService::NewStub(channels->current());
  const auto reader = stub->GetVerdictSet(&context, request);
  v1::GetVerdictSetResponse response;
  absl::Status taken;
  while (taken.ok() && reader->Read(&response)) {
    bytes_.Increment(static_cast<double>(response.ByteSizeLong()));
    taken = collector->Take(response);
  }
  if (!taken.ok()) context.TryCancel();
  while (!taken.ok() && reader->Read(&response)) {
  }
  const absl::Status ended = rpc::FromGrpc(reader->Finish(), retry_after);
  if (!taken.ok()) return taken;
  if (!ended.ok()) return ended;
  if (collector->whole()) return absl::OkStatus();
  return absl::UnavailableError("the hub ended the call before the last part");
}

void VerdictFetcher::Pause(const std::stop_token& stop, absl::Duration pause) {
  base::MutexLock lock(&mu_);
  if (!stop.stop_requested()) changed_.WaitFor(&mu_, pause);
}

}  // namespace hub::client

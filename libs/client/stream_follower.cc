#include "libs/client/stream_follower.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "fraudhub/v1/subscription.pb.h"
#include "libs/base/log.h"
#include "libs/model/refusal.h"

namespace hub::client {
namespace {

namespace v1 = ::fraudhub::v1;
using model::RefusalCode;

// Between calls of a hub that refuses us: what cures it is somebody's work.
constexpr absl::Duration kRefusedBase = absl::Seconds(1);
constexpr absl::Duration kRefusedMax = absl::Seconds(30);
// Between tries to reach a hub that is away, at most: lookups may be UNKNOWN until it is found again. The hub takes 250 newcomers a second.
constexpr absl::Duration kAwayMax = absl::Seconds(5);

// False: rate-limited word of it, and it comes again.
bool Stored(const absl::Status& status) {
  if (!status.ok())
    HUB_LOG_EVERY(10, ERROR, "not_stored", {{"why", status.message()}, {"effect", "the data grows older"}});
  return status.ok();
}

}  // namespace

StreamFollower::StreamFollower(ConnectionOptions hub, std::string client_id)
    : hub_(std::move(hub)), client_id_(std::move(client_id)) {}

void StreamFollower::Run(LocalView* view, std::stop_token stop) {
  const std::stop_callback wake(stop, [this] {
    base::MutexLock lock(&mu_);
    changed_.NotifyAll();
  });
  SubscriberOptions options;
  options.connection = hub_;
  options.client_id = client_id_;
  options.from_snapshot = true;
  options.every_delivery = true;
  options.backoff_max = kAwayMax;
  options.token = view->token();
  bool lost_before = false;  // the stream before was, too
  Backoff backoff(kRefusedBase, kRefusedMax, RandomSeed());
  while (!stop.stop_requested()) {
    opened_ = false;
    const absl::Status why = Subscriber::Run(options, {}, Handlers(view), stop);
    if (stop.stop_requested()) return;
    if (opened_) backoff.Reset();
    const auto refusal = model::RefusalOf(why);
    const RefusalCode code = refusal ? refusal->code : RefusalCode::kUnspecified;
    const bool lost = code == RefusalCode::kCursorTooOld || code == RefusalCode::kFilterChanged;
    // A token that the hub can't read may be another hub's: its versions say nothing here.
    const bool other_log = code == RefusalCode::kLogChanged || code == RefusalCode::kCursorInvalid;
    // Of a hub that refuses a stream without a token likewise, more of it would be no help.
    if ((lost || other_log) && (opened_ || !options.token.empty())) {
      HUB_LOG(
          WARN, "token_refused",
          {{"why", model::Name(code)}, {"effect", other_log ? "everything is fetched again" : "a snapshot is taken"}});
      if (!other_log || Stored(view->Forget())) {
        options.token.clear();
        if (!std::exchange(lost_before, true)) continue;
        Pause(stop, backoff.Next());  // a hub that opens and refuses, and again
        continue;
      }
    }
    lost_before = false;
    SetLink(absl::StrCat("refused: ", why.message()));
    HUB_LOG(WARN, "hub_refuses", {{"why", why.message()}, {"effect", "the data grows older"}});
    options.token = view->token();
    Pause(stop, backoff.Next());
  }
}

void StreamFollower::Pause(const std::stop_token& stop, absl::Duration pause) {
  base::MutexLock lock(&mu_);
  if (!stop.stop_requested()) changed_.WaitFor(&mu_, pause);
}

SubscriberHandlers StreamFollower::Handlers(LocalView* view) {
  SubscriberHandlers handlers;
  handlers.on_opened = [this, view](const v1::Opened& opened) {
    opened_ = true;
    {
      base::MutexLock lock(&mu_);
      us_ = opened.stakeholder();
      link_ = "connected";
    }
    HUB_LOG(INFO, "stream_opened", {{"stakeholder", opened.stakeholder()}});
    Stored(view->OnOpened(opened));
  };
  handlers.on_event = [view](const v1::Event& event) {
    view->OnEvent(event);
    return true;
  };
  handlers.on_batch = [view] { return Stored(view->OnBatch()); };
  handlers.on_progress = [view](const v1::Progress& progress) { Stored(view->OnProgress(progress)); };
  handlers.on_snapshot_begins = [view] { view->OnSnapshotBegins(); };
  handlers.on_unchanged = [view](const std::string& id) { view->OnUnchanged(id); };
  handlers.on_snapshot_ends = [view] { Stored(view->OnSnapshotEnds()); };
  handlers.on_view_changed = [view](const v1::ViewChanged& changed) { Stored(view->OnViewChanged(changed)); };
  handlers.on_disconnected = [this](const absl::Status& why, absl::Duration) {
    SetLink(absl::StrCat("away: ", why.message()));
    HUB_LOG_EVERY(10, WARN, "hub_away", {{"why", why.message()}});
  };
  return handlers;
}

void StreamFollower::SetLink(const std::string& link) {
  base::MutexLock lock(&mu_);
  link_ = link;
}

std::string StreamFollower::link() const {
  base::MutexLock lock(&mu_);
  return us_.empty() ? link_ : absl::StrCat("as ", us_, ", ", link_);
}

}  // namespace hub::client

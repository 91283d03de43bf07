#include "services/fanout/fanout_app.h"

namespace hub::fanout_service {
namespace {
constexpr absl::Duration kWaitMax = absl::Milliseconds(100);  // so that Stop is quick
}

FanoutApp::FanoutApp(const FanoutOptions& options, const base::Clock* clock, eventlog::Log* log, const rpc::Gate* gate,
                     const wire::CursorSealer* sealer, base::Metrics* metrics)
    : dispatcher_(options.dispatcher, clock, log, metrics),
      egress_(rpc::EgressLoop::Start(options.egress, metrics)),
      service_(SubscriptionService::Create(clock, gate, &dispatcher_, egress_.get(), sealer, &board_, metrics)) {}

FanoutApp::~FanoutApp() { Stop(); }

absl::Status FanoutApp::Start() {
  absl::Status opened = dispatcher_.Open();
  if (!opened.ok()) return opened;
  thread_ = base::Thread("fanout", [this](std::stop_token stop) { Dispatch(stop); });
  return absl::OkStatus();
}

void FanoutApp::Stop() { thread_.Stop(); }

void FanoutApp::Dispatch(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    if (dispatcher_.Step()) {
      egress_->Wake();
    } else {
      dispatcher_.WaitForNews(kWaitMax);
    }
  }
}

}  // namespace hub::fanout_service

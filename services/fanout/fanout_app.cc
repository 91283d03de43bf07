#include "services/fanout/fanout_app.h"

namespace hub::fanout_service {
namespace {
constexpr absl::Duration kWaitMax = absl::Milliseconds(100);  // so that Stop is quick
constexpr absl::Duration kBooksWaitMax = absl::Milliseconds(25);  // what is due to be written waits so long besides
constexpr absl::Duration kLastWritesWithin = absl::Seconds(1);
constexpr int kSnapshotNice = 10;

fanout::DispatcherOptions WithReceipts(fanout::DispatcherOptions options, fanout::ReceiptBoard* receipts) {
  options.on_event = [receipts](int32_t partition, eventlog::Offset offset, const model::Event& event) {
    receipts->OnEvent(partition, offset, event);
  };
  return options;
}

}  // namespace

FanoutApp::FanoutApp(const FanoutOptions& options, const base::Clock* clock, eventlog::Log* log,
                     const replica::Replica* replica, const rpc::Gate* gate, const wire::CursorSealer* sealer,
                     base::Metrics* metrics)
    : clock_(clock),
      receipts_(options.receipts, clock, log, metrics),
      dispatcher_(WithReceipts(options.dispatcher, &receipts_), clock, log, metrics),
      cursors_(options.cursors, clock, log, metrics),
      snapshots_(options.snapshots, replica, &dispatcher_, clock, metrics),
      egress_(rpc::EgressLoop::Create(options.egress, metrics)),
      service_(SubscriptionService::Create(clock, gate, &dispatcher_, &cursors_, &receipts_, &snapshots_, egress_.get(),
                                           sealer, &board_, metrics)) {
  egress_->SetMethod(service_->method());
}

FanoutApp::~FanoutApp() { Stop(); }

absl::Status FanoutApp::Start() {
  absl::Status opened = dispatcher_.Open();
  if (!opened.ok()) return opened;
  thread_ = base::Thread("fanout", [this](std::stop_token stop) { Dispatch(stop); });
  books_thread_ = base::Thread("fanout-books", [this](std::stop_token stop) { KeepBooks(stop); });
  snapshot_thread_ = base::Thread("snapshots", [this](std::stop_token stop) { MakeSnapshots(stop); });
  return absl::OkStatus();
}

void FanoutApp::Stop() {
  snapshot_thread_.Stop();
  thread_.Stop();
  books_thread_.Stop();
}

void FanoutApp::Dispatch(const std::stop_token& stop) {
  base::TakeShortTurns();
  while (!stop.stop_requested()) {
    bool urgent = false;
    if (dispatcher_.Step(&urgent)) {
      egress_->Wake(urgent ? rpc::EgressNews::kUrgent : rpc::EgressNews::kForAll);
    } else {
      dispatcher_.WaitForNews(kWaitMax);
    }
  }
}

void FanoutApp::KeepBooks(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    // A stream that waits for its attach, or whose cursor is another's now, is asked at once.
    if (cursors_.Step()) egress_->Wake(rpc::EgressNews::kUrgent);
    receipts_.Step();
    cursors_.WaitForNews(kBooksWaitMax);
  }
  const absl::Duration until = clock_->Monotonic() + kLastWritesWithin;
  do {
    cursors_.Step(/*hurry=*/true);
    receipts_.Step(/*hurry=*/true);
    cursors_.WaitForNews(kBooksWaitMax);
  } while (!(cursors_.idle() && receipts_.idle()) && clock_->Monotonic() < until);
}

// With what the machine has to spare: a scan takes seconds of a core, live events come first. A thread of lower priority gets less only
// when there is not enough for all.
void FanoutApp::MakeSnapshots(const std::stop_token& stop) {
  base::GiveWay(kSnapshotNice);
  while (!stop.stop_requested()) {
    if (snapshots_.Step()) {
      egress_->Wake(rpc::EgressNews::kForReaders);
    } else {
      snapshots_.WaitForWork(kWaitMax);
    }
  }
}

}  // namespace hub::fanout_service

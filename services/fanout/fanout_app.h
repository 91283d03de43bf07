// The fan-out's parts and threads: dispatcher, named cursors, receipts, egress, and the service on top.
//
// Thread safety: Start, Drain and Stop from one thread.
#pragma once

#include <memory>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "libs/access/policy.h"
#include "libs/base/clock.h"
#include "libs/base/metrics.h"
#include "libs/base/thread.h"
#include "libs/eventlog/log.h"
#include "libs/fanout/cursor_store.h"
#include "libs/fanout/dispatcher.h"
#include "libs/fanout/receipt_board.h"
#include "libs/fanout/snapshot_source.h"
#include "libs/replica/replica.h"
#include "libs/rpc/egress.h"
#include "libs/rpc/server.h"
#include "libs/wire/cursor_token.h"
#include "services/fanout/stream_board.h"
#include "services/fanout/subscription_service.h"

namespace hub::fanout_service {

struct FanoutOptions {
  fanout::DispatcherOptions dispatcher;
  fanout::CursorStoreOptions cursors;
  fanout::ReceiptBoardOptions receipts;
  rpc::EgressOptions egress;
  fanout::SnapshotOptions snapshots;
};

class FanoutApp {
 public:
  // All pointers outlive the app. `replica`: of the same log, fed by somebody else; snapshots come from it.
  FanoutApp(const FanoutOptions& options, const base::Clock* clock, eventlog::Log* log, const replica::Replica* replica,
            const rpc::Gate* gate, const wire::CursorSealer* sealer, base::Metrics* metrics);
  ~FanoutApp();

  // Unavailable: the log can't be read.
  absl::Status Start();
  // Ends every stream with its token, paced over `window`.
  void Drain(absl::Duration window) { egress_->Drain(window); }
  // Writes what was acknowledged and confirmed last, within a second. REQUIRES: the server was drained.
  void Stop();

  grpc::Service* service() { return service_->service(); }
  rpc::EgressLoop* egress() { return egress_.get(); }
  const StreamBoard& board() const { return board_; }
  const fanout::Dispatcher& dispatcher() const { return dispatcher_; }
  int streams() const { return egress_->streams(); }

 private:
  void Dispatch(const std::stop_token& stop);
  void KeepBooks(const std::stop_token& stop);
  void MakeSnapshots(const std::stop_token& stop);

  const base::Clock* const clock_;
  StreamBoard board_;
  fanout::ReceiptBoard receipts_;
  fanout::Dispatcher dispatcher_;
  fanout::CursorStore cursors_;
  fanout::SnapshotSource snapshots_;
  const std::unique_ptr<rpc::EgressLoop> egress_;
  const std::unique_ptr<SubscriptionService> service_;
  base::Thread thread_;
  base::Thread books_thread_;  // of cursors and receipts
  base::Thread snapshot_thread_;
};

}  // namespace hub::fanout_service

// fraudhub.v1.SubscriptionService: opens streams, hands them to the egress loop, lists what is open.
//
// Thread safety: service() is called by gRPC's threads, method() by those of the egress loop; each stream belongs to one of them.
#pragma once

#include <memory>

#include "libs/base/clock.h"
#include "libs/base/metrics.h"
#include "libs/fanout/cursor_store.h"
#include "libs/fanout/dispatcher.h"
#include "libs/fanout/receipt_board.h"
#include "libs/fanout/snapshot_source.h"
#include "libs/rpc/egress.h"
#include "libs/rpc/server.h"
#include "libs/wire/cursor_token.h"
#include "services/fanout/stream_board.h"

namespace hub::fanout_service {

class SubscriptionService {
 public:
  // All pointers outlive the service and every stream of `egress`.
  static std::unique_ptr<SubscriptionService> Create(const base::Clock* clock, const rpc::Gate* gate,
                                                     fanout::Dispatcher* dispatcher, fanout::CursorStore* cursors,
                                                     fanout::ReceiptBoard* receipts, fanout::SnapshotSource* snapshots,
                                                     rpc::EgressLoop* egress, const wire::CursorSealer* sealer,
                                                     StreamBoard* board, base::Metrics* metrics);
  virtual ~SubscriptionService() = default;
  virtual grpc::Service* service() = 0;
  virtual rpc::EgressMethod* method() = 0;
};

}  // namespace hub::fanout_service

// fraudhub.v1.ReportService: RPCs on one side, ReportIntake and the replica on the other.
//
// Thread safety: constructed and destroyed by the app; service() is called by gRPC's threads. Nothing blocks in them: statuses are looked
// up on the worker pool.
#pragma once

#include <memory>

#include "libs/access/policy.h"
#include "libs/replica/replica.h"
#include "libs/rpc/server.h"
#include "libs/rpc/worker_pool.h"
#include "services/ingest/report_intake.h"

namespace hub::ingest {

class IngestService {
 public:
  // All pointers outlive the service. `replica` may be null: then GetReportStatus is another process's task.
  static std::unique_ptr<IngestService> Create(const rpc::Gate* gate, ReportIntake* intake,
                                               const replica::Replica* replica, rpc::WorkerPool* workers);
  virtual ~IngestService() = default;  // REQUIRES: the server was drained
  virtual grpc::Service* service() = 0;
  // No new reports: calls get UNAVAILABLE, streams end with it once what they have sent is answered.
  virtual void StopIntake() = 0;
};

}  // namespace hub::ingest

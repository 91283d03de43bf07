// The gRPC side of LookupService and OperationsService: who calls, then a worker, then the answer.
//
// Thread safety: service pointers are called by gRPC's threads. Nothing blocks in them.
#pragma once

#include <memory>

#include "libs/rpc/server.h"
#include "libs/rpc/worker_pool.h"
#include "services/query/lookup_service.h"
#include "services/query/operations_service.h"

namespace hub::query {

class RpcBindings {
 public:
  // All pointers outlive the bindings. `lookup` may be null: lookup() is then not to be registered. REQUIRES at destruction: the server
  // was drained.
  static std::unique_ptr<RpcBindings> Create(const rpc::Gate* gate, rpc::WorkerPool* workers, LookupService* lookup,
                                             OperationsService* operations);
  virtual ~RpcBindings() = default;
  virtual grpc::Service* lookup() = 0;
  virtual grpc::Service* operations() = 0;
};

}  // namespace hub::query

// The gRPC side of client::LocalLookup: a worker, then the answer. Thread safety: the service is called by gRPC's threads; nothing blocks in them.
#pragma once

#include <memory>

#include "libs/client/local_lookup.h"
#include "libs/rpc/worker_pool.h"

namespace grpc {
class Service;
}

namespace hub::edge {

// Both outlive it. REQUIRES at destruction: the server was drained.
std::unique_ptr<grpc::Service> BindLookup(client::LocalLookup* lookup, rpc::WorkerPool* workers);

}  // namespace hub::edge

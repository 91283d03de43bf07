// The analysts' board for browsers: which page for whom. Read-only; the same principals, rights, audit and redaction as the gRPC API, since it
// asks the same services.
//
//   /                who is behind, since when; what was counted; newest corrections and who has them. Refreshes itself.
//   /lookup          a form; posting it answers what is known about an identifier
//   /indicator/ID    the same for "ind_...", as the board's links name it: no address holds an identifier
//
// Thread safety: any thread; calls block as those of the services do.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "fraudhub/v1/indicator.pb.h"
#include "fraudhub/v1/operations.pb.h"
#include "libs/access/policy.h"
#include "libs/base/clock.h"
#include "libs/replica/replica.h"
#include "libs/rpc/https_server.h"
#include "libs/rpc/server.h"
#include "services/query/board_pages.h"
#include "services/query/lookup_service.h"
#include "services/query/operations_service.h"
#include "services/query/shared_answer.h"

namespace hub::query {

struct BoardParts {
  const base::Clock* clock = nullptr;
  const rpc::Gate* gate = nullptr;
  const replica::Replica* replica = nullptr;
  LookupService* lookup = nullptr;
  OperationsService* operations = nullptr;
};

class Board {
 public:
  explicit Board(const BoardParts& parts) : parts_(parts) {}
  rpc::HttpAnswer Answer(const rpc::HttpRequest& request);

 private:
  absl::StatusOr<std::string> Front(const rpc::HttpRequest& request, const PageFrame& frame);
  absl::StatusOr<std::string> Lookup(const rpc::HttpRequest& request, const PageFrame& frame);
  absl::StatusOr<std::string> Indicator(const rpc::HttpRequest& request, const PageFrame& frame);
  // Explain and ListEvents; no explanation: nothing that the caller may see.
  absl::StatusOr<Found> Find(const access::Policy& policy, const access::Principal& caller,
                             const fraudhub::v1::RawIdentifier& identifier, const rpc::HttpRequest& request);

  const BoardParts parts_;
  // A walk through every state is seconds of work at ten millions, the standings are half a second at the most; tabs stay open.
  SharedAnswer<fraudhub::v1::GetStateDigestResponse> digest_;
  SharedAnswer<fraudhub::v1::ListStandingsResponse> standings_;
};

}  // namespace hub::query

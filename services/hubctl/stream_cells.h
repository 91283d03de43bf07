// One stream or named cursor as a row: cursor, client, connected, mode, behind, lag, last ack, sent.
#pragma once

#include <vector>

#include "fraudhub/v1/subscription.pb.h"
#include "services/hubctl/command.h"

namespace hub::hubctl {

std::vector<Cell> StreamCells(const fraudhub::v1::SubscriptionState& stream, const Environment& env);

}  // namespace hub::hubctl

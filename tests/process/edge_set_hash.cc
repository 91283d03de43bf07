// The hash of all flagged numbers and their levels, for comparison: of what an edge answers, asked about each number of the test range; or of what
// the hub's compact set of a stakeholder's view holds (libs/replica/verdict_set.h).
//
//   hub_edge_set_hash --edge host:port
//   hub_edge_set_hash --hub host:port --identity DIR
//
// One JSON line: flags, hash, numbers that were UNKNOWN. Exit status 1: something could not be had.
#include <grpcpp/grpcpp.h>  // tidy:third-party-ok the edge's call of the compact set, made by hand

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <iostream>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "bench/test_range.h"
#include "fraudhub/v1/lookup.grpc.pb.h"
#include "libs/base/status_macros.h"
#include "libs/client/connection.h"
#include "libs/client/lookup.h"
#include "libs/replica/verdict_set.h"
#include "libs/rpc/status.h"

namespace {

namespace v1 = fraudhub::v1;
using hub::replica::SetDigest;

constexpr uint64_t kAsked = 1000;  // in a call; the API's most
constexpr int kCallers = 4;
constexpr absl::Duration kTimeout = absl::Seconds(20);

struct Answered {
  SetDigest digest;
  int64_t unknown = 0;
};

absl::Status Ask(hub::client::Lookup* lookup, uint64_t first, Answered* all) {
  v1::LookupRequest request;
  request.set_purpose("TEST");
  for (uint64_t index = first; index < std::min(first + kAsked, hub::bench::kTestNumbers); ++index) {
    v1::RawIdentifier* const identifier = request.add_identifiers();
    identifier->set_type(v1::IDENTIFIER_TYPE_MOBILE);
    identifier->set_value(hub::bench::TestNumber(index));
  }
  HUB_ASSIGN_OR_RETURN(const v1::LookupResponse response, lookup->Get(request, kTimeout));
  for (const v1::LookupResult& result : response.results()) {
    const uint64_t index = first++;
    if (result.verdict() == v1::LOOKUP_VERDICT_UNKNOWN) ++all->unknown;
    if (result.verdict() != v1::LOOKUP_VERDICT_INDICATOR) continue;
    const auto level = static_cast<hub::model::Level>(result.indicator().level());
    all->digest.Add(hub::replica::Pack(hub::bench::TestDigits(index), level));
  }
  return absl::OkStatus();
}

absl::StatusOr<Answered> OfEdge(const hub::client::ConnectionOptions& edge) {
  std::atomic<uint64_t> next{0};  // relaxed: only has to be handed out once
  std::mutex mu;
  Answered all;
  absl::Status failed;
  std::vector<std::thread> threads;
  for (int i = 0; i < kCallers; ++i) {
    threads.emplace_back([&] {
      Answered mine;
      auto lookup = hub::client::Lookup::Create(edge);
      absl::Status status = lookup.status();
      while (status.ok()) {
        const uint64_t first = next.fetch_add(kAsked, std::memory_order_relaxed);
        if (first >= hub::bench::kTestNumbers) break;
        status = Ask(lookup->get(), first, &mine);
      }
      const std::lock_guard lock(mu);
      failed.Update(status);
      all.digest.Add(mine.digest);
      all.unknown += mine.unknown;
    });
  }
  for (std::thread& thread : threads) thread.join();
  if (!failed.ok()) return failed;
  return all;
}

absl::StatusOr<Answered> OfHub(const hub::client::ConnectionOptions& at) {
  HUB_ASSIGN_OR_RETURN(const auto channel, hub::client::Connect(at));
  const auto stub = v1::LookupService::NewStub(channel);
  grpc::ClientContext context;
  const auto reader = stub->GetVerdictSet(&context, v1::GetVerdictSetRequest());
  Answered all;
  v1::GetVerdictSetResponse response;
  std::vector<hub::replica::PackedVerdict> verdicts;
  while (reader->Read(&response)) {
    verdicts.clear();
    if (!response.block().empty()) HUB_RETURN_IF_ERROR(hub::replica::DecodeBlock(response.block(), &verdicts));
    for (const hub::replica::PackedVerdict verdict : verdicts) all.digest.Add(verdict);
  }
  HUB_RETURN_IF_ERROR(hub::rpc::FromGrpc(reader->Finish()));
  return all;
}

}  // namespace

int main(int argc, char** argv) {
  hub::client::ConnectionOptions edge, of_hub;
  CLI::App app{"The hash of all flagged numbers of the test range and their levels."};
  app.add_option("--edge", edge.server, "host:port: what it answers");
  app.add_option("--hub", of_hub.server, "host:port: what its compact set holds");
  app.add_option("--identity", of_hub.identity_dir, "folder of cert.pem, key.pem, ca.pem, for --hub");
  CLI11_PARSE(app, argc, argv);
  if (edge.server.empty() == of_hub.server.empty()) {
    std::cerr << "hub_edge_set_hash: want --edge or --hub\n";
    return 2;
  }
  const absl::StatusOr<Answered> all = edge.server.empty() ? OfHub(of_hub) : OfEdge(edge);
  if (!all.ok()) {
    std::cerr << "hub_edge_set_hash: " << all.status().message() << "\n";
    return 1;
  }
  std::printf("{\"flags\":%llu,\"hash\":\"%016llx%016llx\",\"unknown\":%lld}\n",
              static_cast<unsigned long long>(all->digest.count), static_cast<unsigned long long>(all->digest.sums[0]),
              static_cast<unsigned long long>(all->digest.sums[1]), static_cast<long long>(all->unknown));
  return 0;
}

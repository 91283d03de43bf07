// Which parts of the hub a binary runs. Plain values.
#pragma once

namespace hub::hub_service {

struct ServerKind {
  const char* name;  // of the binary
  bool ingest, registry, fanout, query;
  const char* address;  // listen.address unless set

  bool IsWhole() const { return ingest && registry && fanout && query; }
  // Has a port for callers; a registry has none.
  bool Serves() const { return ingest || fanout || query; }
  // Serves calls that wait for the disk and are audited: lookups and operations, or of those the board of its own streams.
  bool Answers() const { return fanout || query; }
};

inline constexpr ServerKind kHubAll{"hub-all", true, true, true, true, "127.0.0.1:7443"};
inline constexpr ServerKind kHubIngest{"hub-ingest", true, false, false, false, "127.0.0.1:7443"};
inline constexpr ServerKind kHubRegistry{"hub-registry", false, true, false, false, ""};
inline constexpr ServerKind kHubFanout{"hub-fanout", false, false, true, false, "127.0.0.1:7444"};
inline constexpr ServerKind kHubQuery{"hub-query", false, false, false, true, "127.0.0.1:7445"};

}  // namespace hub::hub_service

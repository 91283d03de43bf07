// Where a hub, or a bank's own hub-edge, is, and who asks. A plain value.
#pragma once

#include <string>

namespace fraudhub {

struct Connection {
  // host:port or unix:/path (clear text: its file's rights say who may ask), or up to 64 of them with commas between: any of them will do.
  std::string server{};
  // Folder with cert.pem, key.pem and ca.pem; renewed files are seen by themselves. Empty: clear text, which only loopback accepts.
  std::string identity_dir{};
  std::string server_name{};  // name expected in the server's certificate; empty: the host of `server`
};

}  // namespace fraudhub

// Certificates made on the spot, for tests with real handshakes.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace hub::rpc {

// A CA, a server and clients of every sort, by the openssl tool; made once per process.
class Certificates {
 public:
  Certificates() {
    char name[] = "/tmp/hub-tls-test-XXXXXX";
    folder_ = mkdtemp(name);
    const std::string script = R"sh(set -e; cd "$(dirname "$0")"
ca() { openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=$1" -keyout $1.key -out $1.pem; }
issue() { # NAME CA USAGE SAN
  mkdir -p $1; cp ca.pem $1/ca.pem
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=bank-01.example" -keyout $1/key.pem -out $1/csr
  { echo "basicConstraints=CA:FALSE"; echo "extendedKeyUsage=$3"; [ -z "$4" ] || echo "subjectAltName=$4"; } > $1/ext
  openssl x509 -req -in $1/csr -CA $2.pem -CAkey $2.key -CAcreateserial -days 2 -extfile $1/ext -out $1/cert.pem; }
ca ca; ca other
issue server ca serverAuth "DNS:localhost,IP:127.0.0.1"
issue good ca clientAuth "URI:fraudhub://dev.hub.example/bank-01/main"
issue wrong_ca other clientAuth "URI:fraudhub://dev.hub.example/bank-01/main"
issue no_uri ca clientAuth "DNS:bank-01.example"
issue no_san ca clientAuth ""
issue two_uris ca clientAuth "URI:fraudhub://dev.hub.example/bank-01/main,URI:fraudhub://dev.hub.example/bank-02/main"
issue server_usage ca serverAuth "URI:fraudhub://dev.hub.example/bank-01/main"
cp -r good other_key; cp server/key.pem other_key/key.pem
)sh";
    std::ofstream(folder_ + "/make.sh") << script;
    made_ = std::system(("bash " + folder_ + "/make.sh >" + folder_ + "/make.log 2>&1").c_str()) == 0;
  }
  ~Certificates() { std::filesystem::remove_all(folder_); }
  std::string operator/(const std::string& name) const { return folder_ + "/" + name; }
  bool made() const { return made_; }

 private:
  std::string folder_;
  bool made_ = false;
};

inline const Certificates& Pki() {
  static const Certificates certificates;
  return certificates;
}

}  // namespace hub::rpc

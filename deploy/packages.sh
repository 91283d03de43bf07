#!/usr/bin/env bash
# Installs the Debian packages the hub is built from. Debian 12 and 13, as root or with sudo.
#
#   deploy/packages.sh [--tests] [--kafka] [--bench] [--checks] [--browser]
#
# Without a flag: what building the product needs. Each flag adds one more set. What is already installed is
# left alone: a second run asks only dpkg, so it needs neither the network nor root.
set -euo pipefail

product=(
  g++ cmake ninja-build pkg-config git ca-certificates ccache mold
  # gRPC's package pulls in neither the compiler nor the plugin nor protobuf's headers: all four are named.
  libgrpc++-dev protobuf-compiler protobuf-compiler-grpc libprotobuf-dev
  librdkafka-dev librocksdb-dev libabsl-dev libphonenumber-dev prometheus-cpp-dev libcivetweb-dev
  libspdlog-dev libcli11-dev libssl-dev libzstd-dev openssl rapidjson-dev libcsv-dev libarchive-dev libboost-dev
  libjemalloc-dev
)

have() { command -v "$1" >/dev/null 2>&1; }

wanted=("${product[@]}")
for flag in "$@"; do
  case $flag in
    --tests)
      # The last three are for the samples. The code of those in Python is made by the plugin of protobuf-compiler-grpc.
      wanted+=(catch2 procps curl jq libsqlite3-dev python3-grpcio python3-protobuf)
      # npm is only needed to fetch buf. Node.js from elsewhere brings its own npm and conflicts with Debian's.
      have npm || wanted+=(nodejs npm)
      ;;
    --kafka)
      # Debian 13 has no Java 17, Debian 12 no Java 21; Kafka runs on both, so any Java from 17 on will do.
      if ! have java; then
        if [[ $(. /etc/os-release && echo "${VERSION_ID:-12}") == 12 ]]; then
          wanted+=(openjdk-17-jre-headless)
        else
          wanted+=(openjdk-21-jre-headless)
        fi
      fi
      have mvn || wanted+=(maven)
      wanted+=(kcat)
      ;;
    --bench) wanted+=(libbenchmark-dev nats-server redis-server) ;;
    --checks) wanted+=(clang-14 clang-tidy clang-format) ;;
    --browser) wanted+=(chromium) ;; # for tests/process/board.sh, which does without; 300 MB
    -h | --help)
      sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0"
      exit 0
      ;;
    *)
      echo "packages.sh: unknown flag '$flag', want --tests, --kafka, --bench, --checks or --browser" >&2
      exit 2
      ;;
  esac
done

# One dpkg-query for all of them; it fails when a name is unknown to it, which only means "not installed".
installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "${wanted[@]}" 2>/dev/null | sed -n 's/^installed //p' || true)
missing=()
for package in "${wanted[@]}"; do
  grep -qxF -- "$package" <<<"$installed" || missing+=("$package")
done
((${#missing[@]})) || exit 0

as_root=()
if ((EUID != 0)); then
  have sudo || { echo "packages.sh: run as root or install sudo; missing: ${missing[*]}" >&2; exit 1; }
  as_root=(sudo)
fi
# Installing redis-server or nats-server must not leave a daemon behind: benches start their own. A policy of
# the machine's owner stays in force.
policy=/usr/sbin/policy-rc.d
if [[ ! -e $policy ]]; then
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
  "${as_root[@]}" chmod 755 "$policy"
  trap '"${as_root[@]}" rm -f "$policy"' EXIT
fi

apt() {
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get -q -y -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 "$@"
}
install() { apt install --no-install-recommends "${missing[@]}"; }

echo "packages.sh: installing ${missing[*]}" >&2
# Package lists are fetched when there are none, and once more when they turn out to be stale.
lists_fresh=no
if ! compgen -G '/var/lib/apt/lists/*_Packages*' >/dev/null; then
  apt update
  lists_fresh=yes
fi
if ! install; then
  [[ $lists_fresh == no ]] || exit 1
  apt update
  install
fi

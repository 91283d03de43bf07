#!/usr/bin/env bash
# A development CA, a server identity and stakeholder identities. Never for production: the CA's key lies beside
# what it signs, without a passphrase, and there is no revocation.
#
#   deploy/dev_pki.sh DIR [--stakeholder NAME/PRINCIPAL ...] [--stakeholders-from FILE]
#
#   FILE: one stakeholder/principal per line; empty lines and # comments are skipped
#
# Writes DIR/ca/{ca.pem,ca.key}, DIR/server/{cert.pem,key.pem,ca.pem} for localhost and 127.0.0.1, and for each
# identity DIR/NAME/PRINCIPAL/{cert.pem,key.pem,ca.pem}, whose one URI SAN says who it is:
# fraudhub://dev.hub.example/NAME/PRINCIPAL. ECDSA P-256, valid for 30 days. What exists is kept, unless it ends
# within two days or another CA signed it.
set -euo pipefail
umask 022

fail() { echo "dev_pki.sh: $*" >&2; exit 1; }
usage() { sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; exit "$1"; }

dir='' identities=()
while (($#)); do
  case $1 in
    --stakeholder)
      [[ -n ${2:-} && $2 != -* ]] || fail "--stakeholder: want NAME/PRINCIPAL"
      while (($# > 1)) && [[ $2 != -* ]]; do identities+=("$2"); shift; done
      ;;
    --stakeholders-from)
      [[ -r ${2:-} ]] || fail "--stakeholders-from: cannot read '${2:-}'"
      while read -r line; do [[ -z $line || $line == '#'* ]] || identities+=("$line"); done < <(tr -d '\r' <"$2"; echo)
      shift
      ;;
    -h | --help) usage 0 ;;
    -*) fail "unknown flag '$1'" ;;
    *) [[ -z $dir ]] || fail "more than one DIR: '$dir', '$1'"; dir=$1 ;;
  esac
  shift
done
[[ -n $dir ]] || usage 2 >&2
for id in "${identities[@]}"; do
  # Each becomes a folder, a subject and part of a URI: no separators, no "..", nothing that hides our own folders.
  [[ $id =~ ^[A-Za-z0-9][A-Za-z0-9._-]{0,62}/[A-Za-z0-9][A-Za-z0-9._-]{0,62}$ ]] ||
    fail "'$id': want NAME/PRINCIPAL of letters, digits, dot, dash, underscore; at most 63 each"
  [[ $id != ca/* && $id != server/* ]] || fail "'$id': the names ca and server are taken"
done

echo "*** dev_pki.sh: DEVELOPMENT ONLY, NEVER FOR PRODUCTION: unprotected CA key in $dir/ca ***" >&2
command -v openssl >/dev/null || "$(dirname "${BASH_SOURCE[0]}")/packages.sh" >&2

mkdir -p "$dir/ca" "$dir/server"
dir=$(cd "$dir" && pwd)
export dir
exec 9>"$dir/ca/lock"
flock 9

# One section per kind of certificate; the SAN comes from the environment.
export OPENSSL_CONF=$dir/ca/openssl.cnf SAN=unused
cat >"$OPENSSL_CONF" <<'END'
[req]
distinguished_name = dn
prompt = no
string_mask = utf8only
[dn]
[ca]
basicConstraints = critical,CA:TRUE,pathlen:0
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = ${ENV::SAN}
[client]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = clientAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = ${ENV::SAN}
END

# Certificates older than this are renewed: two days before the 30 of their validity end.
export renew=$dir/ca/renew
touch -d '28 days ago' "$renew"

ca=$dir/ca/ca.pem
if [[ ! -s $ca || ! -s $dir/ca/ca.key || $ca -ot $renew ]]; then
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -sha256 -days 30 -extensions ca \
    -subj "/O=Fraud Intelligence Hub development/CN=development CA $(date -u +%Y-%m-%d)" \
    -keyout "$dir/ca/ca.key" -out "$ca" 2>/dev/null || fail "making the CA failed"
  chmod 600 "$dir/ca/ca.key"
fi
ca_pem=$(<"$ca")
export ca ca_pem

# issue SECTION SAN SUBJECT FOLDER: key, request and signature in one process, since there may be thousands. openssl
# writes the key first (mode 0600) and the certificate last, so a certificate means that the folder is complete.
issue() {
  local out=$4
  [[ ! -s $out/cert.pem || ! -s $out/key.pem || $out/cert.pem -ot $renew || $out/cert.pem -ot $ca ]] || return 0
  printf '%s\n' "$ca_pem" >"$out/ca.pem"
  SAN=$2 openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -sha256 -days 30 -extensions "$1" \
    -CA "$ca" -CAkey "$dir/ca/ca.key" -subj "$3" -keyout "$out/key.pem" -out "$out/cert.pem" 2>/dev/null ||
    { echo "dev_pki.sh: issuing $out failed" >&2; return 1; }
}
issue_clients() {
  local id
  for id; do
    issue client "URI:fraudhub://dev.hub.example/$id" "/O=${id%/*}/CN=${id#*/}" "$dir/$id" || exit 255 # ends xargs too
  done
}
export -f issue issue_clients

issue server DNS:localhost,IP:127.0.0.1 /CN=localhost "$dir/server"
((${#identities[@]})) || exit 0
printf '%s\0' "${identities[@]}" | (cd "$dir" && xargs -0 mkdir -p)
printf '%s\0' "${identities[@]}" | sort -zu |
  xargs -0 -n 25 -P "$(nproc)" bash -c 'issue_clients "$@"' issue_clients

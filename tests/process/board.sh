#!/usr/bin/env bash
# The analysts' board as a browser meets it: who gets in, what each role is shown, what nobody is shown. With Chromium (deploy/packages.sh
# --browser) its pages are rendered and photographed as well; without, that is said and left out.
#
#   tests/process/board.sh [BIN] [--pictures DIR]
#
#   BIN         folder of the binaries (default build/release/bin)
#   --pictures  where to put board.png and indicator.png
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

folder="" pictures=""
while (($#)); do
  case $1 in
    --pictures) pictures=$(mkdir -p "$2" && cd "$2" && pwd); shift ;;
    -*) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" >&2; exit 2 ;;
    *) folder=$1 ;;
  esac
  shift
done
common_open board "$folder"
[[ -n $pictures ]] || pictures=$work
analyst=dot-diu/analyst-1
hub_settings=(listen.board_address=127.0.0.1:0 registry.tick_ms=200)
make_identities police-mh/main bank-psb-02/main bank-psb-03/main bank-pvt-01/main bank-coop-01/main tsp-01/main portal-01/main "$analyst"
deploy/dev_pki.sh "$work/strangers" --stakeholder "$analyst" 2>/dev/null # another CA, the same name
start_hub
hub_log=$work/hub.log
[[ $deployment != cluster ]] || hub_log=$work/data/cluster/log/query-1.log
port=$(sed -n 's/.* hub_serves .*board_port=\([0-9]*\).*/\1/p' "$hub_log")
((port > 0)) || fail "the hub's log tells no board_port"

# Headers and body of a page; fails as curl does when there is no answer at all.
browse() { # WHO PATH [CURL-OPTION...]
  local who=$1 path=$2
  shift 2
  curl -sS -i --max-time 20 --cacert "$work/pki/ca/ca.pem" --cert "$work/pki/$who/cert.pem" --key "$work/pki/$who/key.pem" "$@" \
    "https://localhost:$port$path"
}
shows() { # WHO PATH WORD...: 200 and all of them; one with "!" in front must be missing
  local page word
  page=$(browse "$1" "$2") || return
  [[ $page == HTTP/1.1\ 200* ]] || return
  shift 2
  for word in "$@"; do
    if [[ $word == !* ]]; then [[ $page != *"${word#!}"* ]] || return; else [[ $page == *"$word"* ]] || return; fi
  done
}
refuses() { # WHO PATH [CURL-OPTION...]: 403, says so, and names no number
  local page
  page=$(browse "$@") || return
  [[ $page == HTTP/1.1\ 403* && $page == *"Not allowed"* && $page != *"555000"* ]]
}
fails() { ! "$@" >/dev/null 2>&1; }

echo "what there is to see"
cleared=5550000104 flagged=5550000105
flag() { as "$1" report FINANCIAL_FRAUD MOBILE "$2" --category KYC_BANK --wait 10s >/dev/null; }
for bank in bank-psb-02/main bank-pvt-01/main bank-coop-01/main; do flag "$bank" "$flagged"; done
flag police-mh/main "$flagged"
flag police-mh/main "$cleared"
for ((i = 0; i < 20; i++)); do flag bank-psb-02/main $((5550000200 + i)); done
"$bin/hubctl" "${servers[@]}" --identity "$work/pki/bank-psb-03/main" --output json watch --from earliest --cursor core >"$work/stream" 2>&1 &
keep_pid $!
soon "a bank listens" eval '[[ -s $work/stream ]]'
as "$analyst" correct "MOBILE:$cleared" --to CLEARED --reason WRONG_NUMBER --wait 10s >/dev/null
id_of() { as "$analyst" why "MOBILE:$1" | sed -n 's/.*"indicatorId":"\(ind_[a-z2-7]*\)".*/\1/p' | head -n 1; }
id=$(id_of "$flagged")
[[ -n $id ]] || fail "the flagged number has no indicator"

echo "the board"
told() { shows "$analyst" / 'Newest corrections' CLEARED '<td>MOBILE</td>' '<span>VERY_HIGH</span><b>1</b>'; }
soon "an analyst sees numbers and the correction" told
check "who has not confirmed it is named, the worst stand first" shows "$analyst" / 'agency-01 (not told)' '<td>agency-01</td>' 'who ask for less attention'
check "no number is on it" shows "$analyst" / '!555000'
if [[ $deployment == cluster ]]; then
  check "what the query process can't know is said" shows "$analyst" / "This process doesn't know who is connected"
else
  check "the bank's stream is counted" shows "$analyst" / '<span>Streams connected</span><b>1</b>'
fi
headers=$(browse "$analyst" / | sed '/^\r$/,$d')
for header in "default-src 'none'; style-src 'self'" 'Cache-Control: no-store' 'X-Content-Type-Options: nosniff' 'Referrer-Policy: same-origin'; do
  check "header $header" eval '[[ $headers == *"$header"* ]]'
done
check "the style is the hub's own" shows "$analyst" /board.css 'text/css'

echo "one indicator"
check "without a purpose it asks for one, and shows nothing yet" shows "$analyst" "/indicator/$id" 'name="purpose"' "!$flagged"
check "an analyst sees who said it, and the timeline" shows "$analyst" "/indicator/$id?purpose=TEST" "+91$flagged" bank-psb-02 'FLAGGED' 'LEA_REPORTED_CYBERCRIME'
check "the police see it, but not which bank said it" shows police-mh/main "/indicator/$id?purpose=TEST" "+91$flagged" 'Timeline' '!bank-psb-02'
posted=$(browse "$analyst" /lookup -d "type=MOBILE&value=%2B91$flagged&purpose=TEST&case_ref=C-1")
check "a lookup by form finds it" eval '[[ $posted == HTTP/1.1\ 200* && $posted == *"+91$flagged"* ]]'
posted=$(browse "$analyst" /lookup -d "type=MOBILE&value=<script>&purpose=TEST")
check "what is no number is refused, and not repeated" eval '[[ $posted == HTTP/1.1\ 400* && $posted != *"<script>"* ]]'
check "another site's form gets nothing" refuses "$analyst" /lookup -H 'Sec-Fetch-Site: cross-site' -d "type=MOBILE&value=%2B91$flagged&purpose=TEST"

echo "who may not"
for who in bank-psb-02/main tsp-01/main portal-01/main; do
  check "$who: not the board" refuses "$who" /
  check "$who: no indicator" refuses "$who" "/indicator/$id?purpose=TEST"
  check "$who: no lookup by form" refuses "$who" /lookup -d "type=MOBILE&value=%2B91$flagged&purpose=TEST"
done
check "police-mh/main: not the board" refuses police-mh/main /
check "without a certificate there is no answer" fails curl -sS --max-time 20 --cacert "$work/pki/ca/ca.pem" "https://localhost:$port/"
check "nor with one of another CA" fails curl -sS --max-time 20 --cacert "$work/pki/ca/ca.pem" --cert "$work/strangers/$analyst/cert.pem" \
  --key "$work/strangers/$analyst/key.pem" "https://localhost:$port/"
check "nor without TLS" fails curl -sS --max-time 20 "http://localhost:$port/"

echo "what the hub keeps of it"
check "no number in its log" fails grep -q "$flagged" "$hub_log"
if [[ $deployment != cluster ]]; then
  metrics=$(curl -sS --max-time 20 "http://$ops/metrics")
  check "none in its metrics" eval '[[ $metrics == *fraudhub_board_requests_total* && $metrics != *"$flagged"* ]]'
fi

# Chromium takes no client certificate from its command line: a forwarder has the analyst's. It listens for one page's requests.
forward() {
  exec /usr/bin/python3 - "$port" "$work/pki/$analyst" "$work/pki/ca/ca.pem" "$work/forward.port" <<'END'
import socket, ssl, sys, threading
port, identity, ca, told = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
context = ssl.create_default_context(cafile=ca)
context.load_cert_chain(identity + "/cert.pem", identity + "/key.pem")
def serve(browser):
    with browser, context.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname="localhost") as hub:
        request = b""
        while b"\r\n\r\n" not in request and (some := browser.recv(65536)):
            request += some
        hub.sendall(request)
        while some := hub.recv(65536):
            browser.sendall(some)
listener = socket.create_server(("127.0.0.1", 0))
with open(told, "w") as file:
    file.write(f"{listener.getsockname()[1]}\n")
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
END
}
chromium=$(command -v chromium || command -v chromium-browser || true)
if [[ -z $chromium ]]; then
  say "NOT TESTED: Chromium is not installed (deploy/packages.sh --browser): nothing was rendered"
else
  echo "in Chromium"
  (forward) 2>"$work/forward.log" &
  keep_pid $!
  until_true 20 "the forwarder" eval '[[ -s $work/forward.port ]]'
  at=http://127.0.0.1:$(<"$work/forward.port")
  render() { # PATH FLAG...
    local path=$1
    shift
    HOME=$work/home timeout 60 "$chromium" --headless --no-sandbox --disable-gpu --no-first-run --hide-scrollbars --enable-logging=stderr \
      --user-data-dir="$work/chromium" "$@" "$at$path" 2>>"$work/chromium.log"
  }
  mkdir -p "$work/home"
  render / --window-size=1280,700 --screenshot="$pictures/board.png" >/dev/null
  render "/indicator/$id?purpose=TEST" --window-size=1280,1220 --screenshot="$pictures/indicator.png" >/dev/null
  render / --dump-dom >"$work/dom"
  check "both pages are photographed" eval '[[ -s $pictures/board.png && -s $pictures/indicator.png ]]'
  check "its document has the tables" grep -q 'Newest corrections' "$work/dom"
  check "no number is in the document" fails grep -q 555000 "$work/dom"
  check "nothing on the pages is against their own policy" fails grep -q 'Content Security Policy' "$work/chromium.log"
fi

drain_hub
end_checks

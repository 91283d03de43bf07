#!/usr/bin/env bash
# What stands in `hub.events.v1` can be read with kcat and the files under proto/ alone, and its keys tell no number.
#
#   tests/process/kcat_events.sh [BIN]
#
# A record is a frame of 21 bytes (format, checksum, term, sequence: libs/wire/wire.h) and a fraudhub.internal.v1.LogRecord.
set -euo pipefail
HUB_DEPLOYMENT=cluster
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
common_open kcat_events "${1:-}"
make_identities bank-psb-02/main dot-diu/analyst-1
start_hub
for number in 5550001111 5550002222 5550003333; do as bank-psb-02/main report FINANCIAL_FRAUD MOBILE "$number" >/dev/null; done
# shellcheck disable=SC1091
source "$work/data/cluster/env"
decode() { tail -c +22 | protoc -I proto --decode=fraudhub.internal.v1.LogRecord fraudhub/internal/v1/record.proto; }
events=0 records=0 topic=hub.events.v1
for partition in 0 1 2 3; do
  kcat -C -b "$HUB_BOOTSTRAP" -t $topic -p $partition -o beginning -e -q -f '%o %S\n' >"$work/offsets"
  ticks=0
  while read -r offset size; do
    # The ticks of a second each are the small ones: a few of them will do.
    ((size > 100 || ++ticks <= 5)) || continue
    kcat -C -b "$HUB_BOOTSTRAP" -t $topic -p $partition -o "$offset" -c 1 -q -D '' -f '%s' >"$work/value"
    kcat -C -b "$HUB_BOOTSTRAP" -t $topic -p $partition -o "$offset" -c 1 -q -D '' -f '%k' >"$work/key"
    text=$(decode <"$work/value") || fail "$topic/$partition/$offset doesn't decode"
    ! grep -aq '555000' "$work/key" || fail "$topic/$partition/$offset: a number in the key"
    ((++records))
    [[ $text != event* ]] || ((++events))
  done <"$work/offsets"
done
row "records decoded, events among them" "$records, $events"
((events == 3)) || fail "want the three events"
drain_hub
say "kcat_events: ok"

#!/usr/bin/python3
"""A small bank: follows the hub's stream into a store of its own, and answers "is this number flagged?" from there.

  bank.py --store FILE --server HOST:PORT --identity DIR follow      runs until it is ended; may be killed at any time
  bank.py --store FILE lookup TYPE:VALUE...                          needs no hub: "HIGH REASON ...", NO_INDICATOR, UNKNOWN
  bank.py --store FILE list                                          all that is flagged

What makes it safe: what a message says and the token to go on from are written in one transaction. Whatever was not
written comes again, and the version rule makes applying it again harmless. Acknowledgements come after the commit.
"""
import queue
import sqlite3
import sys
import time

import grpc
import hub
from fraudhub.v1 import subscription_pb2 as subscription, subscription_pb2_grpc, vocabulary_pb2 as words


def write_ahead(store):
    """So that lookups go on while the follower writes. Of two who begin with a new file one must wait: SQLite does not, here."""
    until = time.monotonic() + 10
    while True:
        try:
            store.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


def open_store(path):
    store = sqlite3.connect(path, isolation_level=None, timeout=10)
    write_ahead(store)
    # A withdrawn flag stays as a row without a level: its version keeps a late repeat from bringing it back.
    store.execute("""CREATE TABLE IF NOT EXISTS flags (
        id TEXT PRIMARY KEY, type INT, value TEXT, level INT NOT NULL, reasons TEXT, lapses REAL,
        term INT, version INT, cause INT, sweep INT NOT NULL)""")
    store.execute("CREATE INDEX IF NOT EXISTS by_identifier ON flags (type, value)")
    store.execute("CREATE TABLE IF NOT EXISTS place (one INT PRIMARY KEY, token BLOB, sweep INT, age_at REAL, fresh INT)")
    store.execute("INSERT OR IGNORE INTO place VALUES (1, NULL, 0, 0, 0)")
    return store


def apply_event(store, event, sweep):
    held = store.execute("SELECT term, version, cause FROM flags WHERE id = ?",
                         (event.indicator.indicator_id,)).fetchone()
    stamp = (event.version.term, event.version.version, event.version.reports_offset)
    if held and stamp < held:  # old; but the snapshot told of it
        store.execute("UPDATE flags SET sweep = ? WHERE id = ?", (sweep, event.indicator.indicator_id))
        return
    indicator = event.indicator
    level = 0 if event.left_view or indicator.level <= words.LEVEL_NONE else indicator.level
    reasons = " ".join(words.Reason.Name(reason)[len("REASON_"):] for reason in indicator.reasons)
    lapses = indicator.expires_at.ToSeconds() if indicator.HasField("expires_at") else None
    store.execute("INSERT OR REPLACE INTO flags VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                  (indicator.indicator_id, indicator.identifier.type, indicator.identifier.canonical, level, reasons,
                   lapses, *stamp, sweep))


def apply_message(store, message):
    """One message of the stream, in one transaction."""
    store.execute("BEGIN IMMEDIATE")
    token, sweep, age_at, fresh = store.execute("SELECT token, sweep, age_at, fresh FROM place").fetchone()
    if message.HasField("opened") and not token:
        token = message.opened.token
    if message.HasField("view_changed"):
        token = None  # our rights changed: a snapshot follows, tokens from before are refused
    if message.snapshot.begins:
        sweep += 1
        if fresh:  # another log: its versions don't compare with those we hold
            store.execute("UPDATE flags SET term = 0, version = 0, cause = -1")
            fresh = 0
    for event in message.events:
        apply_event(store, event, sweep)
    if message.HasField("snapshot"):
        if message.snapshot.ends:  # what it did not tell of is not flagged any more
            store.execute("DELETE FROM flags WHERE sweep < ?", (sweep,))
        token = message.snapshot.token or token
    if message.HasField("progress"):
        token, age_at = message.progress.token, message.progress.complete_until.ToNanoseconds() / 1e9
    if message.HasField("drain"):
        token = message.drain.token or None
    store.execute("UPDATE place SET token = ?, sweep = ?, age_at = ?, fresh = ?", (token, sweep, age_at, fresh))
    store.execute("COMMIT")


def follow_once(store, stub):
    """One stream, until it breaks. The hub's wish for a pause before the next, in seconds."""
    token = store.execute("SELECT token FROM place").fetchone()[0]
    start = {"token": token} if token else {"start": subscription.STREAM_START_SNAPSHOT}
    requests = queue.SimpleQueue()
    requests.put(subscription.SubscribeRequest(open=subscription.SubscribeOpen(client_id="bank.py", **start)))
    call = stub.Subscribe(iter(requests.get, None))
    try:
        for message in hub.responses(call):
            apply_message(store, message)
            ack = subscription.SubscribeAck(positions=message.positions, snapshot_parts=message.snapshot.parts_sent)
            if message.positions or message.HasField("snapshot"):
                requests.put(subscription.SubscribeRequest(ack=ack))
            if message.HasField("drain"):
                return message.drain.reconnect_after.ToTimedelta().total_seconds()
    finally:
        requests.put(None)
        call.cancel()
    return 0.0


def follow(store, stub):
    backoff = hub.Backoff()
    while True:
        started = time.monotonic()
        asked = 0.0
        try:
            asked = follow_once(store, stub)
        except grpc.RpcError as error:
            why = hub.reason(error)
            if why in ("CURSOR_TOO_OLD", "LOG_CHANGED", "FILTER_CHANGED", "CURSOR_INVALID"):
                # No token helps, but a snapshot does. What we hold still answers meanwhile.
                store.execute("UPDATE place SET token = NULL, fresh = max(fresh, ?)", (why == "LOG_CHANGED",))
            elif error.code() not in hub.RETRIABLE:
                raise
            print("stream ended, trying again:", why or error.code().name, file=sys.stderr, flush=True)
        if time.monotonic() - started > 1:
            backoff.reset()
        backoff.pause(asked)


def lookup(store, type_, value, max_age):
    if time.time() - store.execute("SELECT age_at FROM place").fetchone()[0] > max_age:
        return "UNKNOWN"  # never "no indicator": nobody knows
    rows = store.execute("SELECT level, reasons FROM flags WHERE type = ? AND value = ? AND level > 0"
                         " AND (lapses IS NULL OR lapses > ?)",
                         (words.IdentifierType.Value("IDENTIFIER_TYPE_" + type_), value, time.time())).fetchall()
    return "%s %s" % (words.Level.Name(max(rows)[0])[len("LEVEL_"):], max(rows)[1]) if rows else "NO_INDICATOR"


def main():
    parser = hub.arguments("A small bank: follows the stream, answers from its own store.")
    parser.add_argument("--store", required=True, help="an SQLite file")
    parser.add_argument("--afresh", action="store_true", help="follow: begin with a snapshot, whatever we have")
    parser.add_argument("--max-age", type=float, default=60.0,
                        help="lookup: seconds; what is older may have been withdrawn since, and is no answer")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("follow")
    commands.add_parser("lookup").add_argument("identifiers", nargs="+", help="MOBILE:+915551234567: canonical")
    commands.add_parser("list")
    options = parser.parse_args()
    store = open_store(options.store)
    if options.command == "follow":
        if options.afresh:
            store.execute("UPDATE place SET token = NULL")
        follow(store, subscription_pb2_grpc.SubscriptionServiceStub(hub.connect(options)))
    elif options.command == "lookup":
        for identifier in options.identifiers:
            print(identifier, lookup(store, *identifier.split(":", 1), options.max_age))
    else:
        for type_, value, level in store.execute("SELECT type, value, level FROM flags WHERE level > 0 ORDER BY 1, 2"):
            print("%s:%s %s" % (words.IdentifierType.Name(type_)[len("IDENTIFIER_TYPE_"):], value,
                                words.Level.Name(level)[len("LEVEL_"):]))


if __name__ == "__main__":
    main()

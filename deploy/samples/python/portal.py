#!/usr/bin/python3
"""A citizens' portal: keeps reports in an outbox, sends them until the hub has them, and asks what became of them.

  portal.py --outbox FILE add KIND TYPE VALUE [--citizen PSEUDONYM] [--category CATEGORY]
  portal.py --outbox FILE add -                           one KIND TYPE VALUE PSEUDONYM a line
  portal.py --outbox FILE --server HOST:PORT --identity DIR send
  portal.py --outbox FILE --server HOST:PORT --identity DIR status [REPORT_ID...]
  portal.py --outbox FILE list                            waiting, accepted, or rejected and why

What makes it safe: a report has its id, and is on disk, before anything else happens. It leaves the outbox when the hub
says ACCEPTED (it is durable there) or REJECTED. After a crash, or an answer that never came, it is sent again with the
same id and the same body, which the hub counts once.
"""
import os
import sqlite3
import sys
import time
import uuid

import grpc
import hub
from fraudhub.v1 import errors_pb2, indicator_pb2, report_pb2, report_pb2_grpc, vocabulary_pb2 as words

def open_outbox(path):
    outbox = sqlite3.connect(path, isolation_level=None)
    outbox.execute("PRAGMA journal_mode=WAL")
    outbox.execute("PRAGMA synchronous=FULL")  # what add printed survives a power cut
    outbox.execute("CREATE TABLE IF NOT EXISTS reports"
                   " (id TEXT PRIMARY KEY, body BLOB NOT NULL, state TEXT NOT NULL DEFAULT 'waiting', why TEXT)")
    return outbox


def new_id():
    """A UUID of version 7: the time in milliseconds, then chance. The hub keeps ids in order of time."""
    value = int(time.time() * 1000) << 80 | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | 7 << 76            # version
    return str(uuid.UUID(int=value & ~(3 << 62) | 2 << 62))  # variant


def make_report(kind, type_, value, citizen="", category=""):
    report = report_pb2.Report(report_id=new_id(), kind=words.InputKind.Value("INPUT_KIND_" + kind),
                               citizen_pseudonym=citizen)
    report.identifier.CopyFrom(indicator_pb2.RawIdentifier(
        type=words.IdentifierType.Value("IDENTIFIER_TYPE_" + type_), value=value,
        line_kind=words.LINE_KIND_MOBILE if type_ == "MOBILE" else words.LINE_KIND_UNSPECIFIED))
    if category:
        report.category = words.FraudCategory.Value("FRAUD_CATEGORY_" + category)
    report.observed_at.GetCurrentTime()
    return report


def add(outbox, options):
    lines = sys.stdin if options.kind == "-" else [
        " ".join((options.kind, options.type, options.value, options.citizen))]
    for line in lines:
        kind, type_, value, citizen = (line.split() + [""])[:4]
        report = make_report(kind, type_, value, citizen, options.category)
        outbox.execute("INSERT INTO reports (id, body) VALUES (?, ?)", (report.report_id, report.SerializeToString()))
        print(report.report_id, flush=True)


def send(outbox, stub, batch):
    backoff = hub.Backoff()
    while True:
        waiting = outbox.execute("SELECT id, body FROM reports WHERE state = 'waiting' ORDER BY id LIMIT ?",
                                 (batch,)).fetchall()
        if not waiting:
            return
        request = report_pb2.SubmitReportsRequest(client_id="portal.py")
        for _, body in waiting:
            request.reports.add().ParseFromString(body)
        asked = 0.0
        try:
            answer = stub.SubmitReports(request, timeout=30)
        except grpc.RpcError as error:
            if error.code() not in hub.RETRIABLE:
                raise  # a certificate or a right is missing: no retry cures that
            print("not sent, trying again:", error.code().name, file=sys.stderr)
            backoff.pause()
            continue
        outbox.execute("BEGIN")
        for verdict in answer.verdicts:
            if verdict.verdict == report_pb2.VERDICT_RETRY:
                asked = answer.retry_after.ToTimedelta().total_seconds() or 0.1
                continue
            accepted = verdict.verdict == report_pb2.VERDICT_ACCEPTED
            why = "" if accepted else errors_pb2.ErrorReason.Name(verdict.error) + " " + verdict.field
            outbox.execute("UPDATE reports SET state = ?, why = ? WHERE id = ?",
                           ("accepted" if accepted else "rejected", why, verdict.report_id))
            print(verdict.report_id, "ACCEPTED" if accepted else "REJECTED " + why, flush=True)
        outbox.execute("COMMIT")
        if asked:
            backoff.pause(asked)
        else:
            backoff.reset()


def status(outbox, stub, ids):
    ids = ids or [row[0] for row in outbox.execute("SELECT id FROM reports WHERE state = 'accepted' ORDER BY id")]
    for start in range(0, len(ids), 1000):
        answer = stub.GetReportStatus(report_pb2.GetReportStatusRequest(report_ids=ids[start:start + 1000]), timeout=30)
        for one in answer.statuses:
            print(one.report_id, words.Outcome.Name(one.outcome), words.Level.Name(one.level_then),
                  "corrected since" if one.corrected_since else "")


def main():
    parser = hub.arguments("A citizens' portal: outbox, sending, status.")
    parser.add_argument("--outbox", required=True, help="the outbox, an SQLite file")
    parser.add_argument("--batch", type=int, default=500, help="send: reports of one call, at most 1,000")
    commands = parser.add_subparsers(dest="command", required=True)
    adding = commands.add_parser("add", help="put a report into the outbox")
    adding.add_argument("kind", help="SUSPECTED_COMMUNICATION, NOT_MY_CONNECTION, ...; - reads lines")
    adding.add_argument("type", nargs="?", default="", help="MOBILE, SMS_HEADER, URL, ...")
    adding.add_argument("value", nargs="?", default="")
    adding.add_argument("--citizen", default="", help="a keyed pseudonym; never a name or a number")
    adding.add_argument("--category", default="")
    commands.add_parser("list", help="what is in the outbox")
    commands.add_parser("send", help="send what waits, until nothing does")
    commands.add_parser("status", help="what became of it").add_argument("ids", nargs="*")
    options = parser.parse_args()
    outbox = open_outbox(options.outbox)
    if options.command == "add":
        return add(outbox, options)
    if options.command == "list":
        for row in outbox.execute("SELECT id, state, ifnull(why, '') FROM reports ORDER BY id"):
            print(*row)
        return None
    stub = report_pb2_grpc.ReportServiceStub(hub.connect(options))
    return send(outbox, stub, options.batch) if options.command == "send" else status(outbox, stub, options.ids)


if __name__ == "__main__":
    main()

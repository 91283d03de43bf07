#!/usr/bin/python3
"""A police unit: follows what concerns it, one event a line, and keeps no state: the hub keeps its place under a name.

  police.py --server HOST:PORT --identity DIR --cursor desk-1 --state MH --min-level HIGH

What makes it safe: an event is acknowledged after it was printed and flushed, and the cursor moves with the
acknowledgement. After a crash the stream goes on there; the last events may come twice, none is left out.
"""
import queue
import sys
import time

import grpc
import hub
from fraudhub.v1 import indicator_pb2, subscription_pb2 as subscription, subscription_pb2_grpc, vocabulary_pb2 as words
from google.protobuf import json_format


def follow_once(stub, options, clause):
    start = subscription.SubscribeOpen(
        filter=indicator_pb2.Filter(any_of=[clause]), cursor=options.cursor, client_id="police.py",
        cursor_start=subscription.STREAM_START_EARLIEST)  # a new cursor begins with the last state of everything
    requests = queue.SimpleQueue()
    requests.put(subscription.SubscribeRequest(open=start))
    call = stub.Subscribe(iter(requests.get, None))
    try:
        for message in hub.responses(call):
            for event in message.events:
                # Case references, links and victims' states are in here: fields that only law enforcement is sent.
                print(json_format.MessageToJson(event, indent=None), flush=True)
            if message.positions:
                ack = subscription.SubscribeAck(positions=message.positions)
                requests.put(subscription.SubscribeRequest(ack=ack))
            if message.HasField("drain"):
                return message.drain.reconnect_after.ToTimedelta().total_seconds()
    finally:
        requests.put(None)
        call.cancel()
    return 0.0


def main():
    parser = hub.arguments("A police unit: follows what concerns it.")
    parser.add_argument("--cursor", required=True, help="a name for this desk; one stream at a time has it")
    parser.add_argument("--state", action="append", default=[], help="victims' state: MH")
    parser.add_argument("--circle", action="append", default=[], help="telecom circle that issued the number: MU")
    parser.add_argument("--type", action="append", default=[], help="MOBILE, UPI_ADDRESS, ...")
    parser.add_argument("--category", action="append", default=[], help="KYC_BANK, ...")
    parser.add_argument("--case", action="append", default=[], help="case references")
    parser.add_argument("--min-level", default="", help="MEDIUM, HIGH, VERY_HIGH")
    options = parser.parse_args()
    clause = indicator_pb2.FilterClause(
        victim_states=options.state, circles_of_issue=options.circle, case_refs=options.case,
        types=[words.IdentifierType.Value("IDENTIFIER_TYPE_" + name) for name in options.type],
        categories=[words.FraudCategory.Value("FRAUD_CATEGORY_" + name) for name in options.category],
        level_min=words.Level.Value("LEVEL_" + options.min_level) if options.min_level else words.LEVEL_UNSPECIFIED)
    stub = subscription_pb2_grpc.SubscriptionServiceStub(hub.connect(options))
    backoff = hub.Backoff()
    while True:
        started, asked = time.monotonic(), 0.0
        try:
            asked = follow_once(stub, options, clause)
        except grpc.RpcError as error:
            if hub.reason(error) == "CURSOR_TAKEN":
                sys.exit("another stream has this cursor now")
            if hub.reason(error) or error.code() not in hub.RETRIABLE:
                sys.exit("the stream can't go on (%s); start with a new cursor" % (hub.reason(error) or error.code().name))
            print("stream ended, trying again:", error.code().name, file=sys.stderr, flush=True)
        if time.monotonic() - started > 1:
            backoff.reset()
        backoff.pause(asked)


if __name__ == "__main__":
    main()

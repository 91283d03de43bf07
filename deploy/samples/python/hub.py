"""What the three samples share: a channel with our identity, pauses between tries, and what an error of the hub means."""
import argparse
import os
import random
import sys
import threading
import time

import grpc

# The generated code: generate.sh puts it there; $PYTHONPATH may name another place.
sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../build/python"))

RETRIABLE = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.RESOURCE_EXHAUSTED,
             grpc.StatusCode.ABORTED, grpc.StatusCode.CANCELLED)


def arguments(description):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--server", default="localhost:7443", help="host:port")
    parser.add_argument("--identity", default="", help="folder with cert.pem, key.pem, ca.pem")
    return parser


def connect(options):
    """mTLS: the certificate says who we are, and with that what we may report and see."""
    def read(name):
        with open(os.path.join(options.identity, name), "rb") as file:
            return file.read()
    credentials = grpc.ssl_channel_credentials(read("ca.pem"), read("key.pem"), read("cert.pem"))
    return grpc.secure_channel(options.server, credentials, [
        ("grpc.max_receive_message_length", 16 << 20),  # the largest batch
        ("grpc.max_reconnect_backoff_ms", 1000),         # we make our own pauses
    ])


class Backoff:
    """Exponential with full jitter, so that those who lost the hub together do not come back together. A pause that the
    hub asks for comes on top."""

    def __init__(self, base=0.2, longest=20.0):
        self.base, self.longest, self.tries = base, longest, 0

    def pause(self, asked=0.0):
        time.sleep(asked + random.uniform(0, min(self.longest, self.base * 2 ** min(self.tries, 30))))
        self.tries += 1

    def reset(self):
        self.tries = 0


def reason(error):
    """ErrorInfo.reason of a failed call, if it is one of those that a subscriber has to tell apart."""
    trailer = dict(error.trailing_metadata() or ()).get("grpc-status-details-bin", b"")
    for name in ("CURSOR_TOO_OLD", "LOG_CHANGED", "FILTER_CHANGED", "CURSOR_INVALID", "CURSOR_TAKEN"):
        if name.encode() in trailer:
            return name
    return ""


def responses(call, silence=15.0):
    """The stream's messages. The hub says something every five seconds: longer silence means that it is gone."""
    heard = [time.monotonic()]

    def watch():
        while call.is_active():
            if time.monotonic() - heard[0] > silence:
                call.cancel()
            time.sleep(1)
    threading.Thread(target=watch, daemon=True).start()
    for response in call:
        yield response
        heard[0] = time.monotonic()  # after its handling: our own time is not the hub's silence

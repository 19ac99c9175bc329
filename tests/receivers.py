"""Where alerts arrive in tests: a mail server and a webhook on this machine, spoken to over real SMTP and HTTP."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import contextmanager
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from aiosmtpd.controller import Controller


class Mailbox:
    """Keeps what it is given as (subject, text); `refuse` makes it answer 451."""

    def __init__(self):
        self.messages = []
        self.refuse = False

    async def handle_DATA(self, server, session, envelope):  # noqa: N802 - aiosmtpd's name
        if self.refuse:
            return "451 try again later"
        message = message_from_bytes(envelope.content, policy=policy.default)
        self.messages.append((message["Subject"], message.get_content(), tuple(envelope.rcpt_tos)))
        return "250 OK"


@contextmanager
def mail_server(**options):
    """Yield a mailbox and the URL of its server."""
    mailbox = Mailbox()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    controller = Controller(mailbox, hostname="127.0.0.1", port=port, **options)
    controller.start()
    try:
        yield mailbox, f"smtp://127.0.0.1:{port}"
    finally:
        controller.stop()


class Hook:
    """Keeps the JSON it is posted; `status` is what it answers."""

    def __init__(self):
        self.posts = []
        self.status = 200

    @property
    def texts(self):
        return [post["text"] for post in self.posts]


@contextmanager
def webhook():
    """Yield a hook and its URL, whose path is a secret as Slack's are."""
    hook = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if hook.status == 200:
                assert self.headers["Content-Type"] == "application/json"
                hook.posts.append(json.loads(body))
            self.send_response(hook.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield hook, f"http://127.0.0.1:{server.server_port}/services/T000/SECRETPATH"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

"""A local chat completions server for tests: it answers as the test says, and remembers what it was asked.

What it lists as its models is `models`. The prompt is the last text of the first message.
"""

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias

HANG, CLOSE = "hang", "close"
# From the prompt and how often it was asked before: the reply, or the texts of its choices, a status that refuses,
# the whole answer, or HANG or CLOSE.
Reply: TypeAlias = str | int | bytes | Sequence[str]
Script: TypeAlias = Callable[[str, int], Reply]


class Server:
    """`bodies` and `headers` of all requests so far, in the order in which they came."""

    def __init__(self, script: Script, models: Iterable[str] = ()) -> None:
        self.models = models
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.script, self.over, self.lock = script, threading.Event(), threading.Lock()
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/v1"

    @property
    def prompts(self) -> list[str]:
        return [said(body) for body in self.bodies]

    def reply(self, body: dict[str, Any], before: int) -> Reply:
        """What a request gets; a server that needs more of it than the prompt has its own."""
        return self.script(said(body), before)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(json.dumps({"data": [{"id": name} for name in server.models]}).encode())

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                prompt = said(body)
                with server.lock:
                    before = server.prompts.count(prompt)
                    server.bodies.append(body | {"path": self.path})
                    server.headers.append(dict(self.headers))
                self._answer(server.reply(body, before))

            def _answer(self, reply: Reply) -> None:
                if reply == HANG:
                    server.over.wait()
                if reply in (HANG, CLOSE):
                    return
                if isinstance(reply, int):
                    content = f"status {reply} for {self.headers['Authorization']}".encode()
                elif isinstance(reply, bytes):
                    content = reply
                else:
                    texts = [reply] if isinstance(reply, str) else reply
                    content = json.dumps({"choices": [{"message": {"content": text}} for text in texts]}).encode()
                self.send_response(reply if isinstance(reply, int) else 200)
                self.send_header("Content-Length", str(len(content)))
                self.send_header("Location", "/elsewhere")
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                pass

        return Handler


def said(body: dict[str, Any]) -> str:
    """The text of the user's message in a request, without its pictures."""
    content = body["messages"][0]["content"]
    return content if isinstance(content, str) else str(content[-1].get("text"))


@contextmanager
def serving(script: Script, models: Iterable[str] = ()) -> Iterator[Server]:
    """The server while it runs; nothing that it lets hang outlives it."""
    with running(server := Server(script, models)):
        yield server


@contextmanager
def running(server: Server) -> Iterator[None]:
    """A server that was made."""
    thread = threading.Thread(target=server.http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield
    finally:
        server.over.set()
        server.http.shutdown()
        thread.join()
        server.http.server_close()

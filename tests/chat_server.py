"""A small real chat server on loopback, for tests of whatever speaks to one.

``ChatServer`` answers ``/v1/models`` and ``/v1/chat/completions``. ``answer`` gets the parsed request and returns
the text of the reply, a dict that is the reply's message, or an ``Act`` that says how to misbehave.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


@dataclass(frozen=True)
class Act:
    """An answer as it goes over the wire."""

    status: int = 200
    body: str | bytes = ""
    headers: dict[str, str] = field(default_factory=dict)
    cut_at: int | None = None
    """Bytes after which the connection is closed, although more was announced."""
    drip_s: float = 0.0
    """Wait before every byte."""
    content_type: str = "application/json"


Answer = Callable[[dict[str, Any]], "str | dict[str, Any] | Act"]


class ChatServer:
    """Serves until the ``with`` block ends.

    Args:
        answer: What to say.
        model: The id that is served.
        port: Where to listen; 0 for any that is free.
    """

    def __init__(self, answer: Answer, model: str = "tiny", port: int = 0) -> None:
        self.answer = answer
        self.model = model
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.lock = threading.Lock()
        self.at_once = 0
        self.most_at_once = 0
        self._http = ThreadingHTTPServer(("127.0.0.1", port), _handler(self))
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})

    @property
    def base_url(self) -> str:
        """Address up to and with ``/v1``."""
        return f"http://127.0.0.1:{self._http.server_port}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def reply(self, request: dict[str, Any]) -> Act:
        """The act for a request."""
        said = self.answer(request)
        return said if isinstance(said, Act) else Act(body=json.dumps(completion(said, self.model, request)))


def completion(said: str | dict[str, Any], model: str, request: dict[str, Any]) -> dict[str, Any]:
    """A chat completion with that message."""
    message = {"content": said} if isinstance(said, str) else said
    words = sum(len(str(m.get("content")).split()) for m in request["messages"])
    usage = {"prompt_tokens": words, "completion_tokens": len(str(message.get("content")).split())}
    finish = message.pop("finish_reason", "tool_calls" if message.get("tool_calls") else "stop")
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
    return {"id": "x", "object": "chat.completion", "model": model, "choices": [choice], "usage": usage}


def _handler(server: ChatServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            listed = {"object": "list", "data": [{"id": server.model, "object": "model"}]}
            self._write(Act(body=json.dumps(listed)))

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with server.lock:
                server.requests.append(request)
                server.headers.append(dict(self.headers))
                server.at_once += 1
                server.most_at_once = max(server.most_at_once, server.at_once)
            try:
                self._write(server.reply(request))
            finally:
                with server.lock:
                    server.at_once -= 1

        def _write(self, act: Act) -> None:
            body = act.body.encode() if isinstance(act.body, str) else act.body
            self.send_response(act.status)
            for name, value in {"Content-Type": act.content_type, **act.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            try:
                if act.cut_at is not None:
                    self.wfile.write(body[: act.cut_at])
                    self.close_connection = True
                elif act.drip_s:
                    for index in range(len(body)):
                        time.sleep(act.drip_s)
                        self.wfile.write(body[index : index + 1])
                        self.wfile.flush()
                else:
                    self.wfile.write(body)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

    return Handler

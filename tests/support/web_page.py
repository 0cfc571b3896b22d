"""A web page from an origin of its own, with a few words of JavaScript to call Queen: the smallest client there is.

`call` fetches and tells what the page can see of the answer. `lines` pushes text as NDJSON and reads the answer line by
line. What the browser does not let through is told as the name of the error.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SCRIPT = """
const told = (error) => ({failed: error.name});
window.call = async (url, options = {}) => {
  try {
    const answer = await fetch(url, {cache: "no-store", ...options});
    const text = await answer.text();
    return {status: answer.status, headers: Object.fromEntries(answer.headers), text};
  } catch (error) { return told(error); }
};
window.lines = async (url, text) => {
  try {
    const body = new Blob([text]);
    const answer = await fetch(url, {method: "POST", body, headers: {"Content-Type": "application/x-ndjson"}});
    const found = [];
    let rest = "", pieces = 0;
    for await (const piece of answer.body.pipeThrough(new TextDecoderStream())) {
      const parts = (rest + piece).split("\\n");
      rest = parts.pop();
      found.push(...parts.map((part) => JSON.parse(part)));
      pieces += 1;
    }
    return {status: answer.status, lines: found, rest, pieces};
  } catch (error) { return told(error); }
};
"""


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        content = f"<!doctype html><title>page</title><script>{SCRIPT}</script>".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the tests look at the browser."""


@contextmanager
def page_server() -> Iterator[int]:
    """Serves the page under every name of this machine; the port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Page)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()

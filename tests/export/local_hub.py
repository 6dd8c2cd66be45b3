"""A hub on this machine: as much of its interface as huggingface_hub needs to upload and download a model."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class LocalHub(ThreadingHTTPServer):
    """Repositories in memory, each one commit, and the requests that came."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, dict[str, bytes]] = {}
        self.requests: list[str] = []
        self.tokens: set[str | None] = set()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: LocalHub

    def log_message(self, *_: Any) -> None:
        pass

    def answer(self, content: Any, status: int = 200, **headers: str) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def parts(self) -> list[str]:
        path = unquote(urlsplit(self.path).path)
        self.server.requests.append(f"{self.command} {path}")
        self.server.tokens.add(self.headers.get("Authorization"))
        return path.strip("/").split("/")

    def do_POST(self) -> None:
        content = self.body()
        match self.parts():
            case ["api", "repos", "create"]:
                asked = json.loads(content)
                repo = f"{asked.get('organization') or 'user'}/{asked['name']}"
                self.server.files.setdefault(repo, {})
                self.answer({"url": f"{self.server.address}/{repo}", "name": repo})
            case ["api", "validate-yaml"]:
                self.answer({"errors": [], "warnings": []})
            case ["api", "models", _, _, "preupload", _]:
                files = [one["path"] for one in json.loads(content)["files"]]
                modes = [{"path": path, "uploadMode": "regular", "shouldIgnore": False} for path in files]
                self.answer({"files": modes})
            case ["api", "models", user, name, "commit", _]:
                for line in map(json.loads, content.splitlines()):
                    if line["key"] == "file":
                        value = line["value"]
                        self.server.files[f"{user}/{name}"][value["path"]] = base64.b64decode(value["content"])
                self.answer({"commitUrl": f"{self.server.address}/{user}/{name}/commit/{COMMIT}", "commitOid": COMMIT})
            case _:
                self.answer({"error": "not built"}, 501)

    def do_GET(self) -> None:
        match self.parts():
            case ["api", "models", user, name, *rest] if f"{user}/{name}" in self.server.files:
                files = self.server.files[f"{user}/{name}"]
                if rest[:1] == ["tree"]:
                    self.answer([self.entry(path, content) for path, content in files.items()])
                else:
                    siblings = [{"rfilename": path} for path in files]
                    self.answer(
                        {"id": f"{user}/{name}", "modelId": f"{user}/{name}", "sha": COMMIT, "siblings": siblings}
                    )
            case [user, name, "resolve", _, *path] if "/".join(path) in self.server.files.get(f"{user}/{name}", {}):
                content = self.server.files[f"{user}/{name}"]["/".join(path)]
                self.answer(content, ETag=f'"{hashlib.sha256(content).hexdigest()}"', X_Repo_Commit=COMMIT)
            case _:
                self.answer({"error": "Repository not found"}, 404, X_Error_Code="RepoNotFound")

    do_HEAD = do_GET

    @staticmethod
    def entry(path: str, content: bytes) -> dict[str, Any]:
        digest = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        return {"type": "file", "path": path, "size": len(content), "oid": digest}


@contextmanager
def local_hub() -> Iterator[LocalHub]:
    hub = LocalHub()
    Thread(target=hub.serve_forever, daemon=True).start()
    try:
        yield hub
    finally:
        hub.shutdown()
        hub.server_close()

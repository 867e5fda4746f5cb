"""clusters/aws/spot-notice.sh: a worker drains itself once AWS tells it that it will be taken away."""

import os
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.clusters.pages import ROOT, commands

SCRIPT = ROOT / "clusters/aws/spot-notice.sh"


class Metadata(BaseHTTPRequestHandler):
    """What a machine of AWS can ask about itself. A notice is there from the third time on, for who shows a token."""

    asked = 0

    def do_PUT(self) -> None:
        self.answer(b"secret" if "X-aws-ec2-metadata-token-ttl-seconds" in self.headers else None)

    def do_GET(self) -> None:
        shown = self.headers.get("X-aws-ec2-metadata-token") == "secret"
        if shown and self.path == "/latest/meta-data/spot/instance-action":
            Metadata.asked += 1
        self.answer(b'{"action": "terminate", "time": "2026-11-28T12:00:00Z"}' if Metadata.asked > 2 else None)

    def answer(self, body: bytes | None) -> None:
        self.send_response(404 if body is None else 200)
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def metadata() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Metadata)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_it_waits_for_the_notice_then_drains_by_the_command_of_the_page(metadata: str, tmp_path: Path) -> None:
    ray = tmp_path / "ray"
    ray.write_text('#!/bin/sh\necho "ray $*"\n')
    ray.chmod(0o700)
    environment = os.environ | {"METADATA": metadata, "PAUSE": "0.05", "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", str(SCRIPT), "HEAD:6379"], env=environment, stdout=subprocess.PIPE, text=True, timeout=60, check=True
    )
    [shown] = [command for command in commands(ROOT / "docs/cluster.md") if "drain-node" in command]
    assert done.stdout.splitlines()[-1].endswith(shown.removeprefix("RAY_AUTH_MODE=token "))
    assert Metadata.asked == 3

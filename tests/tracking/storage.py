"""A real S3 server on loopback, moto's, and a wire to it that can be cut or watched."""

from __future__ import annotations

import contextlib
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator

import boto3

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "AKIATESTTESTTEST",
    "AWS_SECRET_ACCESS_KEY": "a-secret-that-nobody-may-see",
    "AWS_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
BUCKET = "models"


class Wire:
    """Hands bytes on between clients and `port`."""

    def __init__(self, port: int) -> None:
        self.target = port
        self.is_cut = False
        self._lock = threading.Lock()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.watch()
        threading.Thread(target=self._accept, daemon=True).start()

    def watch(self, up: int | None = None, down: int | None = None, then: Callable[[], None] = lambda: None) -> None:
        """Calls `then` once, before more than `up` bytes have gone to the server, or `down` to clients."""
        with self._lock:
            self._limits = {"up": up, "down": down}
            self._passed = {"up": 0, "down": 0}
            self._then: Callable[[], None] | None = then

    def cut(self, for_good: bool = True) -> None:
        """Ends every connection, and each that comes later unless only those of now are meant."""
        self.is_cut = for_good
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for end in pair:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        self.is_cut = False
        self.watch()

    def _accept(self) -> None:
        while True:
            client, _ = self._listener.accept()
            if self.is_cut:
                client.close()
                continue
            try:
                server = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                client.close()
                continue
            with self._lock:
                self._pairs.append((client, server))
            for source, sink, way in [(client, server, "up"), (server, client, "down")]:
                threading.Thread(target=self._copy, args=(source, sink, way), daemon=True).start()

    def _copy(self, source: socket.socket, sink: socket.socket, way: str) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(65_536):
                self._count(way, len(piece))
                sink.sendall(piece)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _count(self, way: str, n_bytes: int) -> None:
        with self._lock:
            self._passed[way] += n_bytes
            limit = self._limits[way]
            then = None
            if limit is not None and self._passed[way] > limit:
                then, self._then = self._then, None
        if then is not None:
            then()


class Storage:
    """The server and the wire to it."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.server_port = free.getsockname()[1]
        self.start()
        self.wire = Wire(self.server_port)
        self.url = f"http://127.0.0.1:{self.wire.port}"

    def start(self) -> None:
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [sys.executable, "-c", "from moto.server import main; main()", "-H", "127.0.0.1", "-p", str(self.server_port)],
            stdout=self.log,
            stderr=self.log,
        )
        for _ in range(300):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.server_port)):
                break
            assert self.process.poll() is None, "moto does not start"
            time.sleep(0.1)
        self.client = boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{self.server_port}",
            region_name="us-east-1",
            aws_access_key_id=ENVIRONMENT["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=ENVIRONMENT["AWS_SECRET_ACCESS_KEY"],
        )
        self.client.create_bucket(Bucket=BUCKET)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def keys(self, prefix: str) -> list[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        return [one["Key"] for page in pages for one in page.get("Contents", [])]

    def put(self, key: str, body: bytes) -> None:
        self.client.put_object(Bucket=BUCKET, Key=key, Body=body)

    def get(self, key: str) -> bytes:
        return self.client.get_object(Bucket=BUCKET, Key=key)["Body"].read()

    def uploads(self) -> list[str]:
        """The keys of uploads that are not complete."""
        return [one["Key"] for one in self.client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])]


@contextlib.contextmanager
def running_storage() -> Iterator[Storage]:
    storage = Storage()
    before = dict(os.environ)
    os.environ.update(ENVIRONMENT, AWS_ENDPOINT_URL=storage.url)
    try:
        yield storage
    finally:
        os.environ.clear()
        os.environ.update(before)
        storage.kill()


def cached(store: str) -> list[pathlib.Path]:
    """Every file among the copies of a store's artifacts, also what is half there."""
    return [file for file in pathlib.Path(store, "cache").rglob("*") if file.is_file()]

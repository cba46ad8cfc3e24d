"""A running kernel with a client of its own, and everything that a cell caused, in order."""

from __future__ import annotations

import dataclasses
import os
import queue
import time
from typing import Any

from jupyter_client.manager import KernelManager

KERNEL = "trialbook"
# A first Rust cell may have to load a cold prelude on a busy machine.
PATIENCE_S = 120


@dataclasses.dataclass
class Answer:
    """What one request caused."""

    reply: dict[str, Any]
    published: list[dict[str, Any]]

    @property
    def status(self) -> str:
        return self.reply["content"]["status"]

    def kinds(self) -> list[str]:
        """The published kinds in order, a status by its state."""
        return [
            message["content"].get("execution_state") or message["msg_type"]
            for message in self.published
        ]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [message["content"] for message in self.published if message["msg_type"] == kind]

    def text(self, stream: str = "stdout") -> str:
        return "".join(part["text"] for part in self.of("stream") if part["name"] == stream)


class Kernel:
    """One kernel process; `close` ends it."""

    def __init__(self) -> None:
        self.manager = KernelManager(kernel_name=KERNEL)
        # Its standard error is the log, worth reading when a test fails.
        self.manager.start_kernel()
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=PATIENCE_S)

    @property
    def pid(self) -> int:
        return self.manager.provisioner.process.pid

    def execute(self, code: str, **options: Any) -> Answer:
        return self.answer(self.client.execute(code, **options))

    def answer(self, msg_id: str, timeout: float = PATIENCE_S) -> Answer:
        """Everything that the request `msg_id` causes, until both its reply and its idle are here."""
        published = self.until_idle(msg_id, timeout)
        return Answer(self.reply(msg_id, timeout), published)

    def until_idle(self, msg_id: str, timeout: float = PATIENCE_S) -> list[dict[str, Any]]:
        published: list[dict[str, Any]] = []
        while not published or published[-1]["content"].get("execution_state") != "idle":
            published.append(self.next_published(msg_id, timeout))
        return published

    def next_published(self, msg_id: str, timeout: float = PATIENCE_S) -> dict[str, Any]:
        """The next publication that `msg_id` caused; those of others are passed over."""
        end = time.monotonic() + timeout
        while True:
            message = self.client.get_iopub_msg(timeout=max(0.0, end - time.monotonic()))
            if message["parent_header"].get("msg_id") == msg_id:
                return message

    def reply(self, msg_id: str, timeout: float = PATIENCE_S) -> dict[str, Any]:
        return reply_to(self.client.get_shell_msg, msg_id, timeout)

    def control(self, kind: str, content: dict[str, Any] | None = None) -> dict[str, Any]:
        message = self.client.session.msg(kind, content or {})
        self.client.control_channel.send(message)
        return reply_to(self.client.get_control_msg, message["header"]["msg_id"], PATIENCE_S)

    def wait_until_busy(self, msg_id: str) -> None:
        """Returns when the cell runs: its input is published last before it does."""
        while self.next_published(msg_id)["msg_type"] != "execute_input":
            pass

    def close(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


def reply_to(get: Any, msg_id: str, timeout: float) -> dict[str, Any]:
    end = time.monotonic() + timeout
    while True:
        message = get(timeout=max(0.0, end - time.monotonic()))
        if message["parent_header"].get("msg_id") == msg_id:
            return message


def is_silent(get: Any, seconds: float = 0.3) -> bool:
    """Whether nothing comes for a while."""
    try:
        get(timeout=seconds)
    except queue.Empty:
        return True
    return False


def is_alive(pid: int) -> bool:
    """Whether `pid` runs; one that has ended and that nobody has asked after does not."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
            return stat.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def descendants(pid: int) -> list[int]:
    """The processes that `pid` started, and theirs, from /proc."""
    children: dict[int, list[int]] = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as stat:
                # The name in parentheses may hold blanks; the parent is the second field after it.
                parent = int(stat.read().rpartition(")")[2].split()[1])
        except OSError:
            continue
        children.setdefault(parent, []).append(int(name))
    found, waiting = [], [pid]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return found

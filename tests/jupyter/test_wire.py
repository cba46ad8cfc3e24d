"""Frames that are not what they have to be: logged, ignored, and the kernel goes on."""

from __future__ import annotations

import pytest
import zmq
from jupyter_client.session import Session
from kernel import is_silent

DELIMITER = b"<IDS|MSG>"


def frames(session, kind: str = "kernel_info_request", content: dict | None = None) -> list[bytes]:
    return session.serialize(session.msg(kind, content or {}))


@pytest.mark.parametrize("channel", ["shell_channel", "control_channel"])
@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda parts: [parts[0], b"0" * 64, *parts[2:]], id="wrong signature"),
        pytest.param(lambda parts: [parts[0], b"", *parts[2:]], id="no signature"),
        pytest.param(lambda parts: [parts[0], b"no hex", *parts[2:]], id="signature of junk"),
        pytest.param(lambda parts: [*parts[:5], b'{"code": "1"}'], id="changed content"),
        pytest.param(lambda parts: parts[:2], id="nothing signed"),
        pytest.param(lambda parts: parts[:1], id="delimiter alone"),
        pytest.param(lambda parts: parts[:4], id="two frames short"),
        pytest.param(lambda parts: [b"hello"], id="no delimiter"),
        pytest.param(lambda parts: [b""], id="empty"),
        pytest.param(lambda parts: [b"\xff" * 1000] * 20, id="junk"),
    ],
)
def test_a_bad_message_is_ignored(shared, channel, spoil) -> None:
    client = shared.client
    socket = getattr(client, channel).socket
    socket.send_multipart(spoil(frames(client.session)))
    assert is_silent(client.get_shell_msg, 0.1) and is_silent(client.get_control_msg, 0.1)
    assert shared.execute("!echo alive").text() == "alive\n"


@pytest.mark.parametrize("part", [0, 3], ids=["header", "content"])
def test_signed_junk_is_ignored(shared, part) -> None:
    session = shared.client.session
    signed = frames(session)[2:]
    signed[part] = b"{ no json"
    socket = shared.client.shell_channel.socket
    socket.send_multipart([DELIMITER, session.sign(signed), *signed])
    assert is_silent(shared.client.get_shell_msg, 0.1)
    assert shared.execute("!echo alive").text() == "alive\n"


def test_an_unknown_request_is_ignored(shared) -> None:
    session = shared.client.session
    shared.client.shell_channel.socket.send_multipart(frames(session, "telepathy_request"))
    assert is_silent(shared.client.get_shell_msg, 0.2)


def test_a_request_without_its_content_is_refused(shared) -> None:
    message = shared.client.session.msg("execute_request", {"silent": False})
    shared.client.shell_channel.send(message)
    answer = shared.answer(message["header"]["msg_id"])
    assert answer.status == "error"
    assert answer.reply["content"]["ename"] == "invalid"


def test_every_subscriber_is_welcomed_with_its_topic(shared) -> None:
    socket = zmq.Context.instance().socket(zmq.SUB)
    try:
        socket.connect(f"tcp://127.0.0.1:{shared.manager.iopub_port}")
        socket.subscribe(b"stream")
        assert socket.poll(5000)
        topic, *parts = socket.recv_multipart()
        # A session of its own: the client's has had the same welcome.
        message = Session(key=shared.client.session.key).deserialize(parts[1:])
        assert topic == b"stream"
        assert message["msg_type"] == "iopub_welcome"
        assert message["content"] == {"subscription": "stream"}
        # Only what it asked for.
        shared.execute("!echo heard")
        assert socket.poll(5000)
        assert socket.recv_multipart()[0] == b"stream.stdout"
        assert not socket.poll(200)
    finally:
        socket.close(linger=0)


def test_the_heart_beats(shared) -> None:
    socket = zmq.Context.instance().socket(zmq.REQ)
    try:
        socket.connect(f"tcp://127.0.0.1:{shared.manager.hb_port}")
        socket.send(b"thump")
        assert socket.poll(5000)
        assert socket.recv() == b"thump"
    finally:
        socket.close(linger=0)

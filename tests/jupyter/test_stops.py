"""Interrupts in the four states, shutdown, and that nothing is left behind."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

import pytest
from kernel import Kernel, descendants, is_alive

LONG = "loop { std::thread::sleep(std::time::Duration::from_millis(10)); trialbook::checkpoint()?; }"


def interrupted(kernel: Kernel, msg_id: str, within: float):
    began = time.monotonic()
    kernel.manager.interrupt_kernel()
    answer = kernel.answer(msg_id)
    took = time.monotonic() - began
    assert answer.status == "error"
    assert answer.of("error")[0]["ename"] == "Interrupted"
    assert took < within, f"{took} s"
    return answer


def test_an_interrupt_while_idle_is_for_nobody(own) -> None:
    assert own.control("interrupt_request")["content"] == {"status": "ok"}
    os.kill(own.pid, signal.SIGINT)
    time.sleep(0.2)
    assert own.execute("!echo alive").text() == "alive\n"


def test_an_interrupt_stops_a_shell_line_and_what_waits_behind_it(own) -> None:
    msg_id = own.client.execute("!sleep 60")
    behind = own.client.execute("!echo never")
    own.wait_until_busy(msg_id)
    time.sleep(0.2)
    interrupted(own, msg_id, within=1)
    assert own.answer(behind).status == "aborted"


def test_a_signal_interrupts_too(own) -> None:
    msg_id = own.client.execute("!sleep 60")
    own.wait_until_busy(msg_id)
    time.sleep(0.2)
    os.kill(own.pid, signal.SIGINT)
    assert own.answer(msg_id, timeout=5).status == "error"


def test_an_interrupt_stops_a_command_and_keeps_what_it_logged(own) -> None:
    # So many folds that it runs for minutes.
    msg_id = own.client.execute(":train tfidf --data sample --cv 800")
    own.wait_until_busy(msg_id)
    time.sleep(0.3)
    began = time.monotonic()
    own.manager.interrupt_kernel()
    answer = own.answer(msg_id)
    assert time.monotonic() - began < 1.5
    assert answer.of("error")[0]["ename"] == "Interrupted"
    assert "KILLED" in plain(own.execute(":runs list"))


def test_an_interrupt_stops_a_running_cell_and_keeps_the_variables(own, rust) -> None:
    assert own.execute("let kept = 7;").status == "ok"
    msg_id = own.client.execute(LONG)
    own.wait_until_busy(msg_id)
    time.sleep(2)
    interrupted(own, msg_id, within=2)
    assert own.execute("kept").of("execute_result")[0]["data"]["text/plain"] == "7"


def test_a_cell_that_does_not_listen_is_ended_after_a_while(own, rust) -> None:
    own.execute("let lost = 7;")
    msg_id = own.client.execute("loop { std::hint::spin_loop(); }")
    own.wait_until_busy(msg_id)
    time.sleep(2)
    answer = interrupted(own, msg_id, within=5)
    assert "lost" in "\n".join(answer.of("error")[0]["traceback"]), "says which variables are gone"
    assert own.execute("1 + 1").status == "ok"


def test_an_interrupt_while_compiling_keeps_the_variables(own, rust) -> None:
    own.execute("let kept = 7;")
    # Constant evaluation keeps the compiler busy for as long as one likes.
    slow = (
        "const N: u64 = { let mut n = 0u64; let mut i = 0u64; "
        "while i < 3_000_000_000 { n ^= i; i += 1; } n };\nN"
    )
    msg_id = own.client.execute("#![allow(long_running_const_eval)]\n" + slow)
    own.wait_until_busy(msg_id)
    time.sleep(1.5)
    interrupted(own, msg_id, within=2)
    assert own.execute("kept").of("execute_result")[0]["data"]["text/plain"] == "7"


def test_input_is_asked_for_and_answered(own, rust) -> None:
    msg_id = own.client.execute('trialbook::runtime::input("name?")?', allow_stdin=True)
    request = own.client.get_stdin_msg(timeout=60)
    assert request["content"] == {"prompt": "name?", "password": False}
    assert request["parent_header"]["msg_id"] == msg_id
    own.client.input("Ada 🦀")
    result = own.answer(msg_id).of("execute_result")[0]
    assert result["data"]["text/plain"] == '"Ada 🦀"'


def test_a_password_is_asked_for_as_one(own, rust) -> None:
    msg_id = own.client.execute('trialbook::runtime::password("secret?")?.len()', allow_stdin=True)
    assert own.client.get_stdin_msg(timeout=60)["content"]["password"] is True
    own.client.input("1234")
    assert own.answer(msg_id).of("execute_result")[0]["data"]["text/plain"] == "4"


def test_a_question_can_be_interrupted(own, rust) -> None:
    msg_id = own.client.execute('trialbook::runtime::input("name?")?', allow_stdin=True)
    own.client.get_stdin_msg(timeout=60)
    began = time.monotonic()
    own.manager.interrupt_kernel()
    own.answer(msg_id)
    assert time.monotonic() - began < 4
    assert own.execute("1 + 1").status == "ok"


def plain(answer) -> str:
    return "\n".join(part["data"]["text/plain"] for part in answer.of("display_data"))


BUSY = [
    pytest.param("!sleep 60", [], id="shell line"),
    pytest.param("loop { std::hint::spin_loop(); }", ["rust"], id="rust"),
]


@pytest.mark.parametrize(("code", "needs"), BUSY)
def test_shutdown_while_busy_is_quick_and_leaves_nothing(code, needs, request) -> None:
    for need in needs:
        request.getfixturevalue(need)
    kernel = Kernel()
    pid = kernel.pid
    try:
        if needs:
            assert kernel.execute("let x = 1;").status == "ok"
        msg_id = kernel.client.execute(code)
        kernel.wait_until_busy(msg_id)
        time.sleep(1.5 if needs else 0.3)
        below = descendants(pid)
        assert below, "something runs"
        began = time.monotonic()
        reply = kernel.control("shutdown_request", {"restart": False})["content"]
        assert reply == {"status": "ok", "restart": False}
        while kernel.manager.provisioner.process.poll() is None:
            assert time.monotonic() - began < 2, "the kernel is still there"
            time.sleep(0.01)
        assert not any(map(is_alive, below))
        assert list(pathlib.Path(tempfile.gettempdir()).glob(f"trialbook-session-{pid}-*")) == []
    finally:
        kernel.close()


def test_a_restart_gives_a_new_session(own) -> None:
    own.execute("!true")
    reply = own.control("shutdown_request", {"restart": True})["content"]
    assert reply == {"status": "ok", "restart": True}
    own.manager.restart_kernel(now=True)
    own.client.wait_for_ready(timeout=60)
    assert own.execute("!true").reply["content"]["execution_count"] == 1


JUPYTER = """
import time
from jupyter_client.manager import KernelManager
manager = KernelManager(kernel_name="trialbook")
manager.start_kernel()
print(manager.provisioner.process.pid, flush=True)
time.sleep(600)
"""


def test_a_kernel_does_not_outlive_its_jupyter() -> None:
    with subprocess.Popen([sys.executable, "-c", JUPYTER], stdout=subprocess.PIPE, text=True) as jupyter:
        pid = int(jupyter.stdout.readline())
        # The kernel has to know its parent before it can miss it.
        time.sleep(1)
        assert is_alive(pid)
        jupyter.kill()
    end = time.monotonic() + 10
    while is_alive(pid):
        assert time.monotonic() < end, "the kernel is still there"
        time.sleep(0.1)


def test_a_cell_can_end_the_kernel(own) -> None:
    answer = own.execute(":quit")
    assert answer.reply["content"]["payload"] == [{"source": "ask_exit", "keepkernel": False}]
    assert own.manager.provisioner.process.wait() is not None

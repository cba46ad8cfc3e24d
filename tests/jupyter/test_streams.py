"""Output: in order, before idle, none of it lost, whatever its bytes are."""

from __future__ import annotations

import time


def test_a_hundred_thousand_lines_come_whole(shared) -> None:
    began = time.monotonic()
    answer = shared.execute("!seq 1 100000")
    took = time.monotonic() - began
    assert answer.text() == "".join(f"{n}\n" for n in range(1, 100_001))
    assert len(answer.of("stream")) < 1_000, "lines are sent in batches"
    assert took < 10, f"{took} s"


def test_junk_is_replaced_and_costs_nothing_else(shared) -> None:
    assert shared.execute(r"!printf 'a\377b\303'").text() == "a\ufffdb\ufffd"


def test_a_cut_character_is_whole(shared) -> None:
    assert shared.execute(r"!printf '\360\237'; sleep 0.1; printf '\246\200'").text() == "🦀"


def test_a_line_without_its_end_and_a_bar_are_kept(shared) -> None:
    assert shared.execute(r"!printf '10%%\r20%%\rdone'").text() == "10%\r20%\rdone"


def test_output_is_live(shared) -> None:
    msg_id = shared.client.execute("!echo early; sleep 2; echo late")
    shared.wait_until_busy(msg_id)
    began = time.monotonic()
    first = shared.next_published(msg_id)
    assert first["content"]["text"] == "early\n"
    assert time.monotonic() - began < 1.5
    published = shared.until_idle(msg_id)
    assert published[0]["content"]["text"] == "late\n"


def test_all_of_rusts_output_comes_before_idle(shared, rust) -> None:
    answer = shared.execute(
        'for n in 0..100_000 { println!("{n}"); }\neprint!("end");\nlet _done = ();'
    )
    assert answer.status == "ok"
    assert answer.text() == "".join(f"{n}\n" for n in range(100_000))
    assert answer.text("stderr") == "end"


def test_displays_keep_their_place_between_lines(shared, rust) -> None:
    answer = shared.execute(
        'println!("one");\nlet live = Live::new(&Content::text("first"));\n'
        'println!("two");\nlive.update(&Content::text("second"));\nclear_output(true);\n"value"'
    )
    assert answer.kinds() == [
        "busy",
        "execute_input",
        "stream",
        "display_data",
        "stream",
        "update_display_data",
        "clear_output",
        "execute_result",
        "idle",
    ]
    shown, updated = answer.of("display_data")[0], answer.of("update_display_data")[0]
    assert shown["transient"]["display_id"] == updated["transient"]["display_id"]
    assert answer.of("clear_output") == [{"wait": True}]

"""Jupyter's own test of kernels, every sample set filled."""

from __future__ import annotations

import jupyter_kernel_test
import pytest
from kernel import KERNEL


@pytest.mark.usefixtures("rust")
class TestKernel(jupyter_kernel_test.KernelTests):
    kernel_name = KERNEL
    language_name = "rust"
    file_extension = ".rs"

    code_hello_world = 'println!("hello, world");'
    code_stderr = 'eprintln!("careful");'
    completion_samples = [
        {"text": ":runs li", "matches": {"list"}},
        {"text": ":gat", "matches": {"gate"}},
    ]
    complete_code_samples = ["1 + 1", "fn one() -> u8 {\n    1\n}", ":runs list", 'let s = "{";']
    incomplete_code_samples = ["fn one() {", "let pair = (1,", 'let s = "open']
    invalid_code_samples = ["fn one() { ) }", "let = 3;"]
    code_page_something = ":help"
    code_generate_error = 'panic!("on purpose")'
    code_execute_result = [
        {"code": "6 * 7", "result": "42"},
        {"code": '"ab".repeat(2)', "result": '"abab"'},
        {"code": "vec![1, 2]", "result": "[1, 2]"},
    ]
    code_display_data = [
        {"code": 'Live::new(&Content::text("plain"));', "mime": "text/plain"},
        {
            "code": 'println!("EVCXR_BEGIN_CONTENT text/html\\n<b>1</b>\\nEVCXR_END_CONTENT");',
            "mime": "text/html",
        },
    ]
    code_history_pattern = "6 ?*"
    supported_history_operations = ("tail", "range", "search")
    code_inspect_sample = ":train"
    code_clear_output = "clear_output(false);"


class TestWelcome(jupyter_kernel_test.IopubWelcomeTests):
    kernel_name = KERNEL
    support_iopub_welcome = True

"""A plugin of pytest for nbval, which does not know clear_output: a bar that comes and goes is not an output."""

from __future__ import annotations

from nbval.plugin import IPyNbFile

get_kernel_message = IPyNbFile.get_kernel_message


def get_other_message(self: IPyNbFile, *args, **kwargs) -> dict:
    while True:
        message = get_kernel_message(self, *args, **kwargs)
        shown = message["content"].get("data", {}).get("text/html", "")
        if not (message["msg_type"] == "display_data" and shown.startswith("<progress")):
            return message


IPyNbFile.get_kernel_message = get_other_message

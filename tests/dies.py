"""dies.py FOLDER SCRIPT ...: runs the script, whose process 1 is killed when it is about to make that folder."""

from __future__ import annotations

import os
import runpy
import signal
import sys
from typing import Any

folder = sys.argv.pop(1)
sys.argv.pop(0)


def watch(event: str, details: tuple[Any, ...]) -> None:
    if event == "os.mkdir" and os.environ["RANK"] == "1" and str(details[0]).endswith(folder):
        os.kill(os.getpid(), signal.SIGKILL)


sys.addaudithook(watch)
runpy.run_path(sys.argv[0], run_name="__main__")

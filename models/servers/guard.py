"""Runs a server's command: `python guard.py GRACE_S COMMAND...`, in a session of its own.

Ends the whole group when the server of Motet is gone, however that ended: then the pipe of its
standard input closes. Plain Python, so that it starts in 20 ms and stays small.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time


def main() -> int:
    # A handler, not SIG_IGN: the command would inherit that.
    signal.signal(signal.SIGTERM, lambda number, frame: None)
    try:
        child = subprocess.Popen(sys.argv[2:], stdin=subprocess.DEVNULL)
    except OSError as error:
        print(f"{sys.argv[2]}: {error.strerror}", file=sys.stderr)
        return 127
    threading.Thread(target=_end_with_parent, args=(float(sys.argv[1]),), daemon=True).start()
    status = child.wait()
    if status < 0:  # end in the same way, so that whoever watches sees the same
        if -status != signal.SIGKILL:
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    return status


def _end_with_parent(grace_s: float) -> None:
    while os.read(0, 1):
        pass
    os.killpg(0, signal.SIGTERM)
    time.sleep(grace_s)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())

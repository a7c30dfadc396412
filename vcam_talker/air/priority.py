"""Ask the system to run air before others, where it may be asked. Nothing here ever raises."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
from typing import Literal

log = logging.getLogger(__name__)

Grant = Literal["realtime", "nice", "normal"]
_REALTIME = 5
_NICE = -11


def prefer_this_process() -> Grant:
    """Give the calling thread, and every thread it starts, a better nice value if the system allows.

    All threads of air, not only those that pace: they share one interpreter lock, and a thread that is put
    aside by the kernel while it holds the lock stops the pacer too.
    """
    if sys.platform == "win32":
        return "normal"
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, _NICE)
        return "nice"
    log.debug("no better nice value is granted")
    return "normal"


def prefer_this_thread() -> Grant:
    """Ask for round-robin real time for the calling thread; return what was granted.

    It needs root, CAP_SYS_NICE or an rtprio limit. Without it everything works, only less steadily on a
    busy machine.
    """
    if sys.platform != "linux":
        return "normal"
    with contextlib.suppress(OSError):
        # A child must not inherit it: the engine's models would starve the pacer.
        policy = os.SCHED_RR | os.SCHED_RESET_ON_FORK
        os.sched_setscheduler(threading.get_native_id(), policy, os.sched_param(_REALTIME))
        return "realtime"
    log.debug("no real-time priority for %s", threading.current_thread().name)
    return "normal"

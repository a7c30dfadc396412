"""Ask the system to run air before others, where it may be asked. Nothing here ever raises."""

from __future__ import annotations

import logging
import os
import sys
import threading

log = logging.getLogger(__name__)

_REALTIME = 5
_NICE = -11


def prefer_this_process() -> None:
    """Give the calling thread, and every thread it starts, a better nice value if the system allows.

    All threads of air, not only those that pace: they share one interpreter lock, and a thread that is put
    aside by the kernel while it holds the lock stops the pacer too.
    """
    if sys.platform == "win32":
        return
    try:
        os.setpriority(os.PRIO_PROCESS, 0, _NICE)
    except OSError:
        log.debug("no better nice value is granted")


def prefer_this_thread() -> None:
    """Ask for round-robin real time for the calling thread.

    It needs root, CAP_SYS_NICE or an rtprio limit. Without it everything works, only less steadily on a
    busy machine.
    """
    if sys.platform != "linux":
        return
    # A child must not inherit it: the engine's models would starve the pacer.
    policy = os.SCHED_RR | os.SCHED_RESET_ON_FORK
    try:
        os.sched_setscheduler(threading.get_native_id(), policy, os.sched_param(_REALTIME))
    except OSError:
        log.debug("no real-time priority for %s", threading.current_thread().name)

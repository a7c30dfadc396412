"""Ask the system to run a thread before others, where it may be asked."""

from __future__ import annotations

import logging
import os
import sys
import threading

log = logging.getLogger(__name__)

_REALTIME = 5
_NICE = -11


def prefer_this_thread() -> str:
    """Raise the calling thread's priority; return what was granted: `realtime`, `nice` or `normal`.

    Round-robin real time needs root, CAP_SYS_NICE or an rtprio limit; a better nice value needs a nice
    limit. Without any of them everything works, only less steadily on a busy machine. Never raises.
    """
    if sys.platform != "linux":
        return "normal"
    thread = threading.get_native_id()
    try:
        # A child must not inherit it: the engine's models would starve the pacer.
        policy = os.SCHED_RR | os.SCHED_RESET_ON_FORK
        os.sched_setscheduler(thread, policy, os.sched_param(_REALTIME))
    except OSError:
        log.debug("no real-time priority for %s", threading.current_thread().name)
    else:
        return "realtime"
    try:
        os.setpriority(os.PRIO_PROCESS, thread, _NICE)
    except OSError:
        return "normal"
    return "nice"

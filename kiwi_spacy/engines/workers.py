"""Computing in the workers of `nlp.pipe(n_process=2)`, and in several threads over one pipeline."""

import os
import threading
import weakref
from typing import Any

import torch


class ForkGuard:
    """A fork does not take OpenMP's threads along, and computing with more than one would wait for them for ever."""

    def __init__(self) -> None:
        self._process = os.getpid()

    def check(self) -> None:
        """Compute with one thread from now on, if this is not the process that built the guard."""
        if os.getpid() != self._process:
            torch.set_num_threads(1)
            self._process = os.getpid()


class EngineLock:
    """Lets one thread at a time into a model. A fork finds it free, whoever held it, and pickled it becomes a free one."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        _LOCKS.add(self)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *raised: Any) -> None:
        self._lock.release()

    def __reduce__(self) -> tuple[type["EngineLock"], tuple[()]]:
        return EngineLock, ()

    def renew(self) -> None:
        """Be free: the thread that held this lock is not in this process."""
        self._lock = threading.RLock()


_LOCKS: "weakref.WeakSet[EngineLock]" = weakref.WeakSet()


def _renew_locks() -> None:
    for lock in list(_LOCKS):
        lock.renew()


os.register_at_fork(after_in_child=_renew_locks)

"""Computing in the workers of `nlp.pipe(n_process=2)`."""

import os

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

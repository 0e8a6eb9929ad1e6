"""What is known of a window without an answer: kind and place of an error, never its message, which may hold note text."""

import errno
import re
import traceback
from pathlib import Path

import torch

# Of PyTorch's own allocators, which raise a plain RuntimeError on a CPU, and of cuBLAS and Apple's GPUs.
_MEMORY = re.compile(
    r"DefaultCPUAllocator: (can't allocate memory|not enough memory)|CUDA error: out of memory|CUBLAS_STATUS_ALLOC_FAILED|"
    r"MPS backend out of memory"
)
ENOUGH_ALIKE = 3  # windows in a row, asked alone, that fail alike: the fault is not theirs, and the rest is not asked


def describe_error(error: BaseException) -> str:
    """Return an error's kind and where it was raised.

    >>> try:
    ...     {}["note text"]
    ... except KeyError as error:
    ...     describe_error(error).split(" (")[0]
    'KeyError in <module>'
    """
    frames = list(traceback.walk_tb(error.__traceback__))
    if not frames:
        return type(error).__name__
    frame, line = frames[-1]
    return f"{type(error).__name__} in {frame.f_code.co_name} ({Path(frame.f_code.co_filename).name}, line {line})"


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out: alone for that is it worth while to try in smaller parts.

    >>> out_of_memory(RuntimeError("shape mismatch")), out_of_memory(MemoryError())
    (False, True)
    """
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    if isinstance(error, OSError):  # of mmap
        return error.errno == errno.ENOMEM
    return isinstance(error, RuntimeError) and bool(_MEMORY.search(str(error)))

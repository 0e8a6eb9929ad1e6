"""One run at a time in an output folder; the lock of a run that is dead holds nobody up."""

import errno
import json
import logging
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path

from ..errors import HeldError

if sys.platform != "win32":
    import fcntl

LOCK = ".kiwi-lock"
logger = logging.getLogger("kiwi_spacy")


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Keep other runs out of a folder while the block runs.

    The system frees the lock when the process ends, however it ends, and the next run takes the file over.

    RAISES (HeldError): Another run holds it; the message says which.
    """
    file = _take(folder)
    try:
        os.ftruncate(file, 0)
        os.write(file, json.dumps(_me()).encode())
        yield
    finally:
        (folder / LOCK).unlink(missing_ok=True)  # still held: whoever opened it meanwhile sees that it is gone
        os.close(file)


def _take(folder: Path) -> int:
    path = folder / LOCK
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            if sys.platform != "win32":
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                holder = _holder(file)
                os.close(file)
                raise HeldError(
                    f"Another run writes to '{folder}': {holder}. Wait for its end, or write to another folder."
                ) from None
            logger.warning("%s: this file system has no locks. See to it that no other run writes there.", folder)
        # The holder takes its file away at its end; a lock on a file that is gone would keep nobody out.
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file), path.stat()):
                return file
        os.close(file)


def _me() -> dict[str, str | int]:
    since = datetime.now(timezone.utc).isoformat(timespec="seconds")
    return {"host": socket.gethostname(), "pid": os.getpid(), "since": since}


def _holder(file: int) -> str:
    try:
        found = json.loads(os.pread(file, 4096, 0))
        return f"process {found['pid']} on {found['host']}, since {found['since']}"
    except (ValueError, KeyError, TypeError):
        return "it has only just begun"

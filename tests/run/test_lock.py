"""One run at a time, whoever was there before and however it ended."""

import errno
import logging
import os
from pathlib import Path

import pytest

from kiwi_spacy.errors import HeldError
from kiwi_spacy.run import lock
from kiwi_spacy.run.lock import LOCK, hold


def test_hold_leaves_nothing_behind(tmp_path: Path) -> None:
    with hold(tmp_path):
        assert (tmp_path / LOCK).exists()
    assert list(tmp_path.iterdir()) == []


def test_hold_takes_over_the_lock_of_a_process_that_was_killed(tmp_path: Path) -> None:
    child = os.fork()
    if child == 0:
        with hold(tmp_path):
            os._exit(9)
    os.waitpid(child, 0)
    assert (tmp_path / LOCK).exists()
    with hold(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_hold_names_no_holder_that_has_not_said_its_name(tmp_path: Path) -> None:
    with hold(tmp_path):
        (tmp_path / LOCK).write_text("")
        with pytest.raises(HeldError, match="it has only just begun"), hold(tmp_path):
            pass


def test_hold_warns_where_a_file_system_has_no_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(file: int, how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(lock.fcntl, "flock", refuse)
    with caplog.at_level(logging.WARNING), hold(tmp_path):
        pass
    assert [record.message for record in caplog.records] == [
        f"{tmp_path}: this file system has no locks. See to it that no other run writes there."
    ]


def test_hold_does_not_trust_a_lock_that_its_holder_has_taken_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, taken = lock.fcntl.flock, []

    def late(file: int, how: int) -> None:
        real(file, how)
        if not taken:
            taken.append(file)
            (tmp_path / LOCK).unlink()  # as the holder does at its end, after this one had opened the file

    monkeypatch.setattr(lock.fcntl, "flock", late)
    with hold(tmp_path):
        assert (tmp_path / LOCK).exists()

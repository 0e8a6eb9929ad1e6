"""Memory is given back where the C library can, and elsewhere nothing happens."""

import sys
from unittest.mock import Mock

import pytest

from kiwi_spacy.run import memory


def test_give_back_asks_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    library = Mock()
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: library)
    memory.give_back()
    library.malloc_trim.assert_called_once_with(0)


def test_keep_sets_what_the_library_keeps(monkeypatch: pytest.MonkeyPatch) -> None:
    library = Mock()
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: library)
    memory.keep()
    assert [call.args[0] for call in library.mallopt.call_args_list] == [-4, -1, -2]


def test_nothing_is_asked_of_another_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(memory.ctypes, "CDLL", Mock(side_effect=AssertionError))
    memory.give_back()
    memory.keep()

"""Asking any model for the answers to the windows of many notes: a reply for each, or why there is none."""

from collections.abc import Iterator, Sequence
from typing import Any

from ...errors import KiwiError
from .exchange import Failure
from .failures import ENOUGH_ALIKE, describe_error, out_of_memory


def ask(model: Any, notes: Sequence[Sequence[Any]]) -> Iterator[tuple[int, Any]]:
    """Yield (index of the prompt among all, its reply) for each prompt of each note, once.

    model: Takes the prompts of each note and returns as many replies; where it has `stream`, replies come as they are made.
    RAISES (KiwiError): The user's to mend, such as missing weights: no window is at fault.
    """
    flat = [prompt for note in notes for prompt in note]
    if not hasattr(model, "stream"):
        replies = [reply for note in _call(model, notes) for reply in note]
        yield from zip(range(len(flat)), replies, strict=True)
        return
    left = set(range(len(flat)))
    reason = "the model gave no reply"
    try:
        for i, reply in model.stream(flat):
            if i in left:
                left.discard(i)
                yield i, reply
    except KiwiError:
        raise
    except Exception as error:
        reason = describe_error(error)
    for i in sorted(left):
        yield i, Failure(reason)


def _call(model: Any, notes: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """Return the replies to each note's prompts; a note with more or fewer of them has none, so that no reply is shifted."""
    try:
        replies = [list(note) for note in model(notes)]
    except KiwiError:
        raise
    except Exception as error:
        return _in_parts(model, notes, describe_error(error), memory=out_of_memory(error))
    if len(replies) != len(notes):
        return [_failed(note, f"the model answered {len(replies)} notes of {len(notes)}") for note in notes]
    return [
        found if len(found) == len(asked) else _failed(asked, f"the model gave {len(found)} replies to {len(asked)} prompts")
        for asked, found in zip(notes, replies, strict=True)
    ]


def _in_parts(model: Any, notes: Sequence[Sequence[Any]], reason: str, *, memory: bool) -> list[list[Any]]:
    """Return the replies where the model fails for all at once: each window is asked alone, until all seem to fail."""
    if sum(map(len, notes)) == 1:
        return [_failed(note, "out of memory" if memory else reason, smaller=memory) for note in notes]
    alike, last = 0, Failure("")
    found: list[list[Any]] = []
    for note in notes:
        replies: list[Any] = []
        for prompt in note:
            reply = last if alike == ENOUGH_ALIKE else _call(model, [[prompt]])[0][0]
            replies.append(reply)
            if alike == ENOUGH_ALIKE or not isinstance(reply, Failure) or reply.smaller:
                alike = alike if alike == ENOUGH_ALIKE else 0
            else:
                alike, last = (alike + 1 if reply == last else 1), reply
        found.append(replies)
    return found


def _failed(prompts: Sequence[Any], reason: str, *, smaller: bool = False) -> list[Any]:
    return [Failure(reason, smaller=smaller) for _ in prompts]

"""Text is read as it is or refused; nothing is guessed."""

import codecs

import pytest

from kiwi_spacy.errors import FormatError, KiwiError
from kiwi_spacy.formats.decode import check_encoding, decode

TEXT = "fièvre and cough"


@pytest.mark.parametrize(
    "mark, name",
    [
        (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"), (codecs.BOM_UTF32_BE, "utf-32-be"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("encoding", [None, "latin-1"])
def test_decode_obeys_a_byte_order_mark(mark: bytes, name: str, encoding: str | None) -> None:
    assert decode(mark + TEXT.encode(name), encoding) == TEXT


@pytest.mark.parametrize("name", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_decode_recognises_wide_text_without_a_mark_and_wants_to_be_told(name: str) -> None:
    for encoding in (None, "latin-1"):
        with pytest.raises(FormatError, match=f"it looks like {name} without a byte order mark"):
            decode(TEXT.encode(name), encoding)
    assert decode(TEXT.encode(name), name) == TEXT


@pytest.mark.parametrize(
    "data, encoding, said",
    [
        (b"caf\xe9", None, "not UTF-8 at byte 3. Name what it is in: --encoding latin-1, say"),
        (b"caf\xe9", "utf-16-le", "neither UTF-8, at byte 3, nor utf-16-le"),
        (b"caf\x81", "cp1252", "not cp1252 at byte 3"),
        (b"\xff\xfea", None, "not utf-16 at byte 2"),
    ],
    ids=["latin-1", "not-wide", "not-cp1252", "half-a-character"],
)
def test_decode_says_what_it_cannot_read(data: bytes, encoding: str | None, said: str) -> None:
    with pytest.raises(FormatError) as error:
        decode(data, encoding)
    assert str(error.value) == said


def test_check_encoding_refuses_an_unknown_name() -> None:
    assert check_encoding("latin-1") == "latin-1"
    with pytest.raises(KiwiError, match="'latin-99' is no encoding"):
        check_encoding("latin-99")

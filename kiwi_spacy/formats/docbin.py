"""spaCy's DocBin, with user data: every layer of a Doc as it is."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from spacy.language import Language
from spacy.tokens import Doc, DocBin

from ..errors import FormatError


def open_docbin(path: Path) -> DocBin:
    """Return a DocBin from disk.

    RAISES (FormatError): The file is none, or cut short.
    """
    try:
        return DocBin(store_user_data=True).from_disk(path)
    except OSError:
        raise
    except Exception:  # zlib, msgpack and numpy each have errors of their own
        raise FormatError(f"{path}: not a DocBin, or cut short. Write it again with DocBin.to_disk.") from None


def read_docbin(path: Path, nlp: Language) -> Iterator[Doc]:
    """Yield the Docs of a DocBin, links and scores among them.

    RAISES (FormatError): The file is no DocBin.
    """
    yield from open_docbin(path).get_docs(nlp.vocab)


def encode_docbin(docs: Iterable[Doc]) -> bytes:
    """Return a DocBin that keeps links, scores, provenance and all else, as bytes."""
    docbin = DocBin(store_user_data=True)
    for doc in docs:
        docbin.add(doc)
    return bytes(docbin.to_bytes())

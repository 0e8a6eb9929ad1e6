"""Libraries that only a part of the package needs: pip installs them with one of its extras (setup.cfg)."""

from collections.abc import Iterator
from contextlib import contextmanager

from .errors import MissingExtraError


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Import libraries of an extra; where one is missing, the error says what to install.

    name (str): The extra of setup.cfg that brings what is imported here.
    RAISES (MissingExtraError): A library is not installed. It is an ImportError too.

    >>> with extra("bert"):
    ...     import library_of_nobody
    Traceback (most recent call last):
    kiwi_spacy.errors.MissingExtraError: library_of_nobody is not installed. Run: pip install 'kiwi-spacy[bert]'
    """
    try:
        yield
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing in ("", __name__.partition(".")[0]):  # a fault of our own
            raise
        raise MissingExtraError(f"{missing} is not installed. Run: pip install 'kiwi-spacy[{name}]'") from error

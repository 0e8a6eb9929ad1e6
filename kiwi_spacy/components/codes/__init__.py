"""Codes of the user's vocabularies for facts: building a vocabulary, looking terms up in it, and the component `kiwi_codes`."""

from .build import Summary, build_vocabulary
from .component import create_codes, default_vocabulary
from .vocabulary import Concept, Found, Hit, Vocabulary

__all__ = ["Concept", "Found", "Hit", "Summary", "Vocabulary", "build_vocabulary", "create_codes", "default_vocabulary"]

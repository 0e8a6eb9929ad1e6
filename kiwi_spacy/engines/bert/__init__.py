"""The bert engine: an encoder with trained heads."""

from ...extras import extra

with extra("bert"):  # asked once for all modules here; it imports torch and transformers
    import spacy_transformers  # noqa: F401

"""The tiny encoder and pipeline of the engines' tests."""

from tests.engines.conftest import overrides, single_precision, tiny_bert, tiny_mpnet, trained

__all__ = ["overrides", "single_precision", "tiny_bert", "tiny_mpnet", "trained"]

"""The llama engine: a local LLaMA that marks up the note."""

from ...extras import extra

with extra("llama"):  # asked once for all modules here
    import peft  # noqa: F401  (it imports torch and transformers)
    import spacy_llm  # noqa: F401

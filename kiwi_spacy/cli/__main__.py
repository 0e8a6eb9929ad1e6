"""`python -m kiwi_spacy.cli`, the same as `kiwi`."""

from . import main

main()

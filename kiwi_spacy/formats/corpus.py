"""`kiwi.Corpus.v1`: annotated notes of any format, as Examples for training and scoring."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from spacy.util import registry

from ..contract import NOTE, split_doc
from ..contract.windows import line_borders
from ..errors import FormatError
from ..schema import Schema, load_schema
from .failure import Failure
from .registry import Source, recognise

logger = logging.getLogger("kiwi_spacy")


@registry.readers("kiwi.Corpus.v1")  # type: ignore[untyped-decorator]
def create_corpus(
    path: str | Path | None,
    schema: str | None = None,
    text_dir: str | None = None,
    notes: str | None = None,
    without: str | None = None,
    max_words: int | list[int] = 0,
) -> Callable[[Language], Iterator[Example]]:
    """Return a function that yields an Example a note.

    path (str): A folder or file of any format of `registry.FORMATS`; several are joined by a comma.
    schema (str | None): A schema file; by default the pipeline's own schema, or else the packaged one.
    text_dir (str | None): Where the texts of .ann files are.
    notes, without (str | None): Files of note names, one a line, to keep or to leave out.
    max_words (int | list[int]): Notes longer than so many tokens are cut at line ends; 0 leaves them whole. Of several
        lengths each note is given once a length, so that the same text is learned in other company.
    RAISES (FormatError): Nothing stands at a path. What cannot be read in a file is logged, without its text.
    """

    def read(nlp: Language) -> Iterator[Example]:
        if path is None:
            return
        parts = [path] if Path(path).exists() else [part.strip() for part in str(path).split(",")]
        yield from read_examples(
            nlp, [Path(part) for part in parts], load_schema(str(schema)) if schema else own_schema(nlp) or load_schema(),
            text_dir=text_dir, notes=notes, without=without, max_words=max_words,
        )

    return read


def read_examples(
    nlp: Language, paths: list[Path], schema: Schema, *, text_dir: str | None = None, notes: str | None = None,
    without: str | None = None, max_words: int | list[int] = 0,
) -> Iterator[Example]:
    """Yield an Example a note; arguments as of `create_corpus`. Names to keep that no path has are logged."""
    keep, drop = read_names(notes), read_names(without)
    found = set()
    for path in paths:
        for doc in read_docs(path, nlp, schema, Path(text_dir) if text_dir else None):
            name = str(doc.user_data.get(NOTE, ""))
            found.add(name)
            if (keep is not None and name not in keep) or (drop is not None and name in drop):
                continue
            for length in max_words if isinstance(max_words, list) else [max_words]:
                for piece in cut(doc, length) if length else [doc]:
                    if len(piece):
                        yield Example(_bare(piece), piece)
    if keep is not None and keep - found:
        logger.warning("%s: these notes are nowhere among the annotated: %s.", notes, ", ".join(sorted(keep - found)))


def own_schema(nlp: Language) -> Schema | None:
    """Return the schema of a pipeline's components, None where none of its pipes has one."""
    schemas = (getattr(pipe, "schema", None) for _, pipe in nlp.pipeline)
    return next((schema for schema in schemas if isinstance(schema, Schema)), None)


def read_docs(path: Path, nlp: Language, schema: Schema, text_dir: Path | None = None) -> Iterator[Doc]:
    """Yield the Docs of one folder or file of any format; its problems are logged as warnings."""
    format = recognise(path)
    assert format.read is not None
    for item in format.read(Source(path, nlp, schema, text_dir)):
        if isinstance(item, Failure):
            logger.warning("%s", item.reason)
        else:
            for problem in item.problems:
                logger.warning("%s", problem)
            yield item.doc


def cut(doc: Doc, max_words: int) -> list[Doc]:
    """Return a note in pieces of at most `max_words` tokens, cut at line ends; a longer line stays whole."""
    return split_doc(doc, line_borders(doc, max_words))


def _bare(doc: Doc) -> Doc:
    return Doc(doc.vocab, words=[t.text for t in doc], spaces=[bool(t.whitespace_) for t in doc])


def read_names(path: str | Path | None) -> set[str] | None:
    """Return the note names that a file holds, one a line; None where there is no file."""
    if not path:
        return None
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise FormatError(f"{path}: not UTF-8 at byte {error.start}. Convert the file to UTF-8.") from None
    return {line.strip() for line in text.split("\n") if line.strip()}

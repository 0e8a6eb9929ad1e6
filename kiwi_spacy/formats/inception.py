"""INCEpTION's UIMA CAS XMI: a folder of NAME.xmi with one TypeSystem.xml, by dkpro-cassis (extra `inception`).

Custom layers: `webanno.custom.KiwiSpan` (label, score) for entities and modifiers, `webanno.custom.KiwiRelation` (Governor, the
entity; Dependent, the modifier; label) for links, `webanno.custom.KiwiNote` (rows, in JSON) for what holds of the whole note.
One layer of spans, as INCEpTION attaches relations to one layer. UIMA counts UTF-16 units; cassis turns them into code points.
"""

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc

from ..contract import NOTE, count_problem, get_modifiers, get_relations, get_score, span_key
from ..errors import FormatError
from ..extras import extra
from ..schema import Schema
from .doccano import turned
from .docs import make_doc
from .failure import Failure
from .jsonl import fill_known
from .rows import add_note_rows, note_rows

TYPES = "TypeSystem.xml"
_SPAN, _RELATION, _NOTE = (f"webanno.custom.Kiwi{name}" for name in ("Span", "Relation", "Note"))
_SEGMENT = "de.tudarmstadt.ukp.dkpro.core.api.segmentation.type"
_TOKEN, _SENTENCE = f"{_SEGMENT}.Token", f"{_SEGMENT}.Sentence"
# Types that say nothing of what was annotated.
_FRAME = ("uima.", "de.tudarmstadt.ukp.dkpro.core.api.segmentation.", "de.tudarmstadt.ukp.dkpro.core.api.metadata.")
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, production 2


def _cassis() -> Any:
    with extra("inception"):
        import cassis
    return cassis


def _type_system() -> Any:
    types = _cassis().TypeSystem()
    for name in (_TOKEN, _SENTENCE):
        types.create_type(name, "uima.tcas.Annotation")
    span = types.create_type(_SPAN, "uima.tcas.Annotation")
    relation = types.create_type(_RELATION, "uima.tcas.Annotation")
    note = types.create_type(_NOTE, "uima.cas.AnnotationBase")
    for owner, name, range_ in (
        (span, "label", "uima.cas.String"), (span, "score", "uima.cas.Double"), (relation, "Dependent", _SPAN),
        (relation, "Governor", _SPAN), (relation, "label", "uima.cas.String"), (note, "rows", "uima.cas.String"),
    ):
        types.create_feature(owner, name, range_)
    return types


def type_system(schema: Schema) -> dict[str, bytes]:
    """Return the file of types, which INCEpTION imports together with the notes' files."""
    return {TYPES: _type_system().to_xml().encode("utf-8")}


def encode_inception(doc: Doc, schema: Schema) -> bytes:
    """Return a note as XMI.

    RAISES (FormatError): It holds a character that XML cannot.
    """
    bad = _NOT_XML.search(doc.text)
    if bad:
        raise FormatError(f"character {bad.start()} is U+{ord(bad[0]):04X}, which XML cannot hold. Write another format")
    types = _type_system()
    cas = _cassis().Cas(typesystem=types)
    cas.sofa_string, cas.sofa_mime = doc.text, "text/plain"
    for match in re.finditer(r"[^\r\n]+", doc.text):
        cas.add(types.get_type(_SENTENCE)(begin=match.start(), end=match.end()))
    for token in doc:
        if not token.is_space:
            cas.add(types.get_type(_TOKEN)(begin=token.idx, end=token.idx + len(token)))
    made = {}
    for span in [*doc.ents, *get_modifiers(doc)]:
        one = types.get_type(_SPAN)(begin=span.start_char, end=span.end_char, label=span.label_, score=get_score(span))
        made[span_key(span)] = one
        cas.add(one)
    for link in get_relations(doc):
        head, modifier = made[span_key(link.head)], made[span_key(link.modifier)]
        ends = {"begin": modifier.begin, "end": modifier.end, "Governor": head, "Dependent": modifier}
        cas.add(types.get_type(_RELATION)(**ends, label=link.label))
    said = note_rows(doc)
    if said:
        cas.add(types.get_type(_NOTE)(rows=json.dumps(said)))
    return str(cas.to_xmi()).encode("utf-8")


def read_inception(folder: Path, nlp: Language, schema: Schema) -> Iterator[Doc | Failure]:
    """Yield the notes of a folder of .xmi files, in the order of their names; one that cannot be read becomes a `Failure`.

    The types are those of the TypeSystem.xml in the folder or, if there is none, those that this package writes.

    RAISES (MissingExtraError): dkpro-cassis is not installed.
    RAISES (FormatError): The folder holds no .xmi, or its types cannot be read.
    """
    cassis = _cassis()
    paths = sorted(folder.rglob("*.xmi"))
    if not paths:
        raise FormatError(f"'{folder}' holds no .xmi file. Export the project as UIMA CAS XMI.")
    types = _type_system()
    if (folder / TYPES).is_file():
        try:
            types = cassis.load_typesystem(io.BytesIO((folder / TYPES).read_bytes()))
        except Exception as error:  # lxml and cassis each have errors of their own
            raise FormatError(f"{TYPES}: cannot be read ({type(error).__name__}). Export the project again.") from None
    for path in paths:
        name = path.relative_to(folder).with_suffix("").as_posix()
        try:
            cas = cassis.load_cas_from_xmi(io.BytesIO(path.read_bytes()), typesystem=types)
            doc = make_doc(nlp, cas.sofa_string or "")
            doc.user_data[NOTE] = name
            _fill(doc, cas, schema)
        except FormatError as error:
            yield Failure(name, f"{name}.xmi: {error}.")
        except Exception as error:
            what = f"{name}.xmi: no UIMA CAS XMI of these types ({type(error).__name__}). Export it again with its {TYPES}."
            yield Failure(name, what)
        else:
            yield doc


def _fill(doc: Doc, cas: Any, schema: Schema) -> None:
    spans: list[tuple[str, int, int, str]] = []
    scores: dict[str, float] = {}
    links: list[tuple[str, str]] = []
    rows: dict[str, Any] = {}
    # A note's own data has no place in the text, so that select_all leaves it out.
    for one in [*cas.select_all(), *(cas.select(_NOTE) if cas.typesystem.contains_type(_NOTE) else ())]:
        kind = one.type.name
        if kind == _SPAN:
            if one.label is None:
                count_problem(doc, "span without a label dropped")
                continue
            spans.append((str(one.xmiID), one.begin, one.end, one.label))
            if one.score is not None:
                scores[str(one.xmiID)] = float(one.score)
        elif kind == _RELATION and one.Governor is not None and one.Dependent is not None:
            links.append((str(one.Governor.xmiID), str(one.Dependent.xmiID)))
        elif kind == _NOTE:
            rows = _rows(one.rows)
        elif not kind.startswith(_FRAME):
            count_problem(doc, "annotation of another layer dropped")
    fill_known(doc, spans, turned(spans, links, schema), schema, scores)
    add_note_rows(doc, rows)


def _rows(text: str | None) -> Any:
    try:
        return json.loads(text or "{}")
    except (ValueError, RecursionError):
        raise FormatError("its KiwiNote is no JSON. Delete that annotation") from None

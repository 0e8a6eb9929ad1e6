"""`kiwi_codes`: the codes of each fact, by vocabularies of the user's. Put it behind `kiwi_facts`.

    nlp.add_pipe("kiwi_codes", config={"vocabularies": ["rxnorm.sqlite", "snomed.sqlite"]})
    doc._.facts[0].codes      a code from each vocabulary that serves the fact's type and has a term for it
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import srsly
from spacy.language import Language
from spacy.tokens import Doc

from ...contract import count_problem, set_provenance
from ...contract.facts import FACTS, Code, Fact, get_facts, set_facts
from ...extras import extra
from ..facts import derive_facts
from .abbreviations import Abbreviations, load_abbreviations
from .build import FORMAT, build_vocabulary
from .coding import find_code, with_codes
from .sources.icd10cm import carried_list, read_icd10cm
from .vocabulary import Vocabulary

_KEPT = 50_000  # facts whose codes are remembered: notes repeat themselves, and a look-up of like words takes a millisecond


@dataclass(frozen=True)
class Served:
    """A vocabulary with the entity types that it is asked for; none asks it for all that it serves."""

    vocabulary: Vocabulary
    types: frozenset[str]

    def serves(self, kind: str) -> bool:
        return not self.types or kind in self.types


def default_vocabulary() -> Path:
    """Return the file of ICD-10-CM, built when first asked for: 24 MB in the user's cache, in about 10 seconds.

    Of two processes that build it at once, each writes a whole file, and the later one stays.

    RAISES (MissingExtraError): The extra `codes` is not installed.
    """
    with extra("codes"):
        from platformdirs import user_cache_path
    path, release = carried_list()
    made = user_cache_path("kiwi_spacy") / f"icd10cm-{release}-{FORMAT}.sqlite"
    if not made.is_file():
        build_vocabulary(read_icd10cm(path), made, types=("problem",), title=f"ICD-10-CM, {release}", source=path.name)
    return made


@Language.factory(
    "kiwi_codes", default_config={"vocabularies": None, "abbreviations": None, "threshold": None}, requires=["doc.ents"],
    assigns=["doc._.facts"], retokenizes=False,
)
def create_codes(
    nlp: Language, name: str, vocabularies: Sequence[str] | Mapping[str, str] | None, abbreviations: str | None,
    threshold: float | None,
) -> "CodeWriter":
    """Build the component.

    vocabularies: Files that `kiwi vocabulary build` wrote, or {entity type: file}; by default ICD-10-CM, for problems.
        Where they lie elsewhere for a saved pipeline: spacy.load(…, config={"components": {"kiwi_codes": {"vocabularies": …}}}).
    abbreviations: A site's YAML file in the form of `kiwi_spacy/components/codes/abbreviations.yml`.
    threshold: Least likeness (0 to 1) of words that are not the same; by default that of `match.yml`.
    RAISES (KiwiError): A file is missing.
    """
    if vocabularies is None:
        served = [Served(Vocabulary(default_vocabulary()), frozenset())]
    elif isinstance(vocabularies, Mapping):
        served = [Served(Vocabulary(path), frozenset([kind])) for kind, path in vocabularies.items()]
    else:
        served = [Served(Vocabulary(path), frozenset()) for path in vocabularies]
    served = [each if each.types else Served(each.vocabulary, frozenset(each.vocabulary.types)) for each in served]
    return CodeWriter(name, served, load_abbreviations(abbreviations), threshold)


class CodeWriter:
    """Set the codes of each fact of a Doc."""

    def __init__(self, name: str, served: Sequence[Served], abbreviations: Abbreviations, threshold: float | None) -> None:
        self.name = name
        self.served = list(served)
        self.abbreviations = abbreviations
        self.threshold = threshold
        self._remembered: dict[object, tuple[Code, ...]] = {}

    def __call__(self, doc: Doc) -> Doc:
        """Set the codes; where `kiwi_facts` has not run the facts are made first. Facts without a code are counted."""
        facts = get_facts(doc) if FACTS in doc.user_data else derive_facts(doc)
        coded = [with_codes(fact, self._codes(fact)) for fact in facts]
        set_facts(doc, coded)
        none = sum(not fact.codes and any(each.serves(fact.type) for each in self.served) for fact in coded)
        if none:
            count_problem(doc, "no code found", none)
        used = [f"{each.vocabulary.path.name} {each.vocabulary.hash[:16]}" for each in self.served]
        set_provenance(doc, vocabularies=", ".join(used))
        return doc

    def _codes(self, fact: Fact) -> tuple[Code, ...]:
        """Return a code from each vocabulary that serves the fact's type; an absent problem has one as a present one has."""
        section = (fact.section.key, fact.section.parent) if fact.section else None
        said = tuple((label, each.text) for label, group in fact.attributes.items() for each in group)
        key = (fact.type, fact.text, said, section)
        if key not in self._remembered:
            if len(self._remembered) >= _KEPT:
                self._remembered.clear()
            found = (
                find_code(fact, each.vocabulary, self.abbreviations, threshold=self.threshold)
                for each in self.served if each.serves(fact.type)
            )
            self._remembered[key] = tuple(code for code in found if code is not None)
        return self._remembered[key]

    def _hashes(self) -> dict[str, list[str]]:
        return {"hashes": [each.vocabulary.hash for each in self.served]}

    def to_bytes(self, *, exclude: Iterable[str] = ()) -> bytes:
        """Return the hashes of the vocabularies; the files themselves stay where they are."""
        return srsly.msgpack_dumps(self._hashes())

    def from_bytes(self, data: bytes, *, exclude: Iterable[str] = ()) -> "CodeWriter":
        """Keep the vocabularies that are open."""
        return self

    def to_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> None:
        """Write the hashes of the vocabularies to a folder; the files themselves stay where they are."""
        folder = Path(path)
        folder.mkdir(parents=True, exist_ok=True)
        srsly.write_json(folder / "vocabularies.json", self._hashes())

    def from_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> "CodeWriter":
        """Keep the vocabularies that are open."""
        return self

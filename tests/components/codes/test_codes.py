"""Vocabularies from every format, look-ups in them, and `kiwi_codes` on Docs."""

import pickle
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import spacy
from spacy.tokens import Doc
from typer.testing import CliRunner

from kiwi_spacy.cli import app
from kiwi_spacy.components.codes import Vocabulary, build_vocabulary
from kiwi_spacy.components.codes.abbreviations import load_abbreviations
from kiwi_spacy.components.codes.coding import find_code
from kiwi_spacy.components.codes.sources import READERS, Rejected, Term
from kiwi_spacy.contract import set_modifiers, set_relations
from kiwi_spacy.contract.facts import Attribute, Fact
from kiwi_spacy.contract.status import Status
from kiwi_spacy.errors import KiwiError

ROWS = [
    Term("1", "Type 2 diabetes mellitus"), Term("2", "Deep vein thrombosis"), Term("3", "Multiple sclerosis"),
    Term("4", "Mitral stenosis"), Term("5", "Fracture of left wrist"), Term("6", "Fracture"), Term("7", "Pneumonia"),
    Term("8", "Heart failure"), Term("8.9", "Heart failure, unspecified", parent="8"), Term("9", "Anaemia"),
    Term("10", "Nephropathy"), Term("11", "Chronic sinusitis"), Term("12", "Deep vein thrombosis of arm"),
    *(Term(f"x{i}{word}", f"syndrome number {i} of {word}") for i in range(40) for word in ("hands", "feet")),
]


@pytest.fixture
def made(tmp_path: Path) -> Vocabulary:
    build_vocabulary(ROWS, tmp_path / "v.sqlite", system="urn:test", types=("problem",))
    return Vocabulary(tmp_path / "v.sqlite")


def code_of(vocabulary: Vocabulary, text: str, kind: str = "problem", **modifiers: str) -> str | None:
    attributes = {label: (Attribute(label, words, 0, 1),) for label, words in modifiers.items()}
    found = find_code(Fact(kind, text, 0, len(text), None, Status(), None, attributes), vocabulary, load_abbreviations())
    return found.code if found else None


@pytest.mark.parametrize(
    ("text", "modifiers", "code"),
    [
        pytest.param("TYPE II Diabetes Mellitus", {}, "1", id="case and roman numeral"),
        pytest.param("mellitus diabetes, type 2", {}, "1", id="word order"),
        pytest.param("type 1 diabetes mellitus", {}, None, id="another number is another thing"),
        pytest.param("anemia", {}, "9", id="American spelling"),
        pytest.param("pneumonias", {}, "7", id="plural"),
        pytest.param("pnuemonia", {}, "7", id="slip of the pen"),
        pytest.param("DVT", {}, "2", id="abbreviation"),
        pytest.param("MS", {}, None, id="ambiguous abbreviation"),
        pytest.param("heart failure", {}, "8.9", id="the code below that says no more"),
        pytest.param("fracture", {"bodyloc": "left wrist"}, "5", id="place joined"),
        pytest.param("fracture", {"bodyloc": "skull"}, None, id="broad word without its place"),
        pytest.param("sinusitis", {"course": "chronic"}, "11", id="course joined"),
        pytest.param("acute sinusitis", {}, None, id="acute is not chronic"),
        pytest.param("purple elephant", {}, None, id="unknown"),
        pytest.param("", {}, None, id="empty"),
        pytest.param("\" OR * (", {}, None, id="signs of the query language"),
    ],
)
def test_look_up(made: Vocabulary, text: str, modifiers: dict[str, str], code: str | None) -> None:
    assert code_of(made, text, **modifiers) == code


def test_a_section_decides_for_an_ambiguous_abbreviation() -> None:
    assert load_abbreviations().spell_out("MS", "problem", ["cardiovascular"]).texts == ("mitral stenosis",)


def test_two_codes_with_one_term_are_no_match(tmp_path: Path) -> None:
    build_vocabulary([Term("1", "cold"), Term("2", "cold")], tmp_path / "v.sqlite")
    found = Vocabulary(tmp_path / "v.sqlite").exact("cold")
    assert (found.best, [hit.concept.code for hit in found.others]) == (None, ["1", "2"])


def test_a_concept_of_another_type_is_no_match(tmp_path: Path) -> None:
    build_vocabulary([Term("1", "iron", types=("drug",))], tmp_path / "v.sqlite")
    assert [code_of(Vocabulary(tmp_path / "v.sqlite"), "iron", kind) for kind in ("drug", "test")] == ["1", None]


def rrf(code: str, kind: str, text: str, language: str = "ENG", source: str = "RXNORM", suppress: str = "N") -> str:
    cells = [code, language, "P", "", "PF", "", "Y", "", "", "", "", source, kind, code, text, "", suppress, "", ""]
    return "|".join(cells)


def test_rxnorm_finds_the_clinical_drug_by_strength_and_form(tmp_path: Path) -> None:
    lines = [
        rrf("1", "IN", "lisinopril"), rrf("2", "SCD", "lisinopril 10 MG Oral Tablet"),
        rrf("3", "SCD", "lisinopril 20 MG Oral Tablet"),
        rrf("4", "SCD", "hydrochlorothiazide 12.5 MG / lisinopril 10 MG Oral Tablet"), rrf("5", "BN", "Percocet"),
        rrf("6", "SBD", "acetaminophen 325 MG / oxycodone hydrochloride 5 MG Oral Tablet [Percocet]"),
        rrf("7", "IN", "lisinoprilum", language="LAT"), rrf("8", "IN", "old drug", suppress="O"), "short|row",
    ]
    (tmp_path / "RXNCONSO.RRF").write_text("\n".join(lines) + "\n")
    summary = build_vocabulary(READERS["rxnorm"](tmp_path), tmp_path / "v.sqlite", types=("drug",))
    v = Vocabulary(tmp_path / "v.sqlite")
    assert code_of(v, "Lisinopril", "drug", strength="10 mg", form="tablet") == "2"
    assert code_of(v, "lisinopril", "drug", strength="40 mg", form="tablet") == "1"
    assert code_of(v, "Percocet", "drug", strength="5/325", form="tablet") == "6"
    assert code_of(v, "percocet", "drug") == "5"
    assert dict(summary.left_out) == {"in another language": 1, "suppressed": 1}
    assert [(each.file, each.line) for each in summary.first] == [("RXNCONSO.RRF", 9)]


def test_umls_takes_types_from_its_semantic_types(tmp_path: Path) -> None:
    lines = [rrf("C01", "PT", "Gout", source="SNOMEDCT_US"), rrf("C02", "PT", "Paris", source="MSH")]
    (tmp_path / "MRCONSO.RRF").write_text("\n".join(lines) + "\n")
    (tmp_path / "MRSTY.RRF").write_text("C01|T047|||||\nC02|T083|||||\n")
    terms = list(READERS["umls"](tmp_path))
    assert [(t.code, t.types) for t in terms if isinstance(t, Term)] == [("C01", ("problem",))]
    assert [t.code for t in READERS["umls"](tmp_path, codes="source", sources=("SNOMEDCT_US",)) if isinstance(t, Term)] == ["C01"]


def test_umls_out_of_order_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "MRCONSO.RRF").write_text(rrf("C02", "PT", "b") + "\n" + rrf("C01", "PT", "a") + "\n")
    (tmp_path / "MRSTY.RRF").write_text("C01|T047\nC02|T047\n")
    with pytest.raises(KiwiError, match=r"line 2: not sorted"):
        list(READERS["umls"](tmp_path))


def test_athena_keeps_standard_concepts_with_their_synonyms(tmp_path: Path) -> None:
    head = "concept_id\tconcept_name\tdomain_id\tvocabulary_id\tconcept_class_id\tstandard_concept\tconcept_code\t"
    head += "invalid_reason\n"
    rows = ["11\tGout\tCondition\tSNOMED\tx\tS\t90560007\t", "12\tOld gout\tCondition\tSNOMED\tx\t\t1\t", "bad row"]
    (tmp_path / "CONCEPT.csv").write_text(head + "\n".join(rows) + "\n")
    (tmp_path / "CONCEPT_SYNONYM.csv").write_text(
        "concept_id\tconcept_synonym_name\tlanguage_concept_id\n11\tPodagra\t4180186\n11\tGicht\t4182504\n12\tx\t4180186\n"
    )
    summary = build_vocabulary(READERS["athena"](tmp_path), tmp_path / "v.sqlite")
    best = Vocabulary(tmp_path / "v.sqlite").exact("podagra", "problem").best
    assert best is not None
    assert (best.concept.code, best.concept.system, best.concept.omop) == ("90560007", "http://snomed.info/sct", 11)
    assert summary.faults == {"not a row of this table": 1}
    assert summary.left_out == {"no standard concept": 1, "in another language": 1, "a term of a concept that is not kept": 1}


def test_obo_takes_synonyms_and_leaves_obsolete_terms_out(tmp_path: Path) -> None:
    (tmp_path / "hp.obo").write_text(
        'format-version: 1.2\n\n[Term]\nid: HP:1\nname: Seizure\nsynonym: "Epileptic \\"fit\\"" EXACT []\n'
        "synonym: broken\nis_a: HP:0 ! All\n"
        "\n[Term]\nid: HP:2\nname: Gone\nis_obsolete: true\n\n[Typedef]\nid: part_of\nname: part of\n"
    )
    assert list(READERS["hpo"](tmp_path / "hp.obo")) == [
        Term("HP:1", "Seizure", 0, (), "http://human-phenotype-ontology.org", "HP:0"),
        Term("HP:1", 'Epileptic "fit"', 1, (), "http://human-phenotype-ontology.org", "HP:0"),
        Rejected("hp.obo", 7, "a synonym without its text or its scope"),
        Rejected("hp.obo", 11, "obsolete", fault=False),
    ]


def test_csv_names_bad_rows_and_takes_other_columns(tmp_path: Path) -> None:
    (tmp_path / "v.csv").write_bytes(b"id,Name,synonyms\n1,Gout,podagra|urate arthritis\n,no code,\n2,bad \xff,\n")
    found = list(READERS["csv"](tmp_path / "v.csv", columns={"code": "id", "term": "name"}))
    assert [t.text for t in found if isinstance(t, Term)] == ["Gout", "podagra", "urate arthritis"]
    assert [t.line for t in found if isinstance(t, Rejected)] == [3, 4]
    with pytest.raises(KiwiError, match="no column 'code'"):
        list(READERS["csv"](tmp_path / "v.csv"))


def test_icd10cm_takes_notes_on_what_is_excluded(tmp_path: Path) -> None:
    (tmp_path / "t.xml").write_text(
        "<t><diag><name>I21</name><desc>Acute infarction</desc><inclusionTerm><note>heart attack NOS</note></inclusionTerm>"
        "<excludes1><note>old infarction (I25.2)</note><note>pain</note></excludes1></diag>"
        "<diag><name>I25.2</name><desc>Past infarction</desc></diag></t>"
    )
    rows = [(t.code, t.text) for t in READERS["icd10cm"](tmp_path / "t.xml") if isinstance(t, Term)]
    assert rows == [
        ("I21", "Acute infarction"), ("I21", "heart attack NOS"), ("I25.2", "old infarction"), ("I25.2", "Past infarction"),
    ]


def test_a_build_that_stops_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    build_vocabulary(ROWS, tmp_path / "v.sqlite")
    before = (tmp_path / "v.sqlite").read_bytes()

    def broken():
        yield from ROWS
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        build_vocabulary(broken(), tmp_path / "v.sqlite")
    assert [path.name for path in tmp_path.iterdir()] == ["v.sqlite"]
    assert (tmp_path / "v.sqlite").read_bytes() == before


def test_the_hash_does_not_depend_on_the_order_of_the_source(tmp_path: Path) -> None:
    one = build_vocabulary(ROWS, tmp_path / "a.sqlite").hash
    other = build_vocabulary(ROWS[::-1], tmp_path / "b.sqlite").hash
    assert one == other


def test_no_term_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(KiwiError, match="No term was found"):
        build_vocabulary([], tmp_path / "v.sqlite")
    assert list(tmp_path.iterdir()) == []


def test_threads_and_pickles_find_the_same(made: Vocabulary) -> None:
    texts = ["DVT", "pnuemonia", "fracture", "anemia"] * 20
    alone = [code_of(made, text) for text in texts]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda text: code_of(made, text), texts)) == alone
    assert [code_of(pickle.loads(pickle.dumps(made)), text) for text in texts] == alone


def pipeline(path: Path) -> spacy.language.Language:
    nlp = spacy.blank("en")
    nlp.add_pipe("entity_ruler").add_patterns([{"label": "problem", "pattern": text} for text in ("fracture", "DVT")])
    nlp.add_pipe("kiwi_facts")
    nlp.add_pipe("kiwi_codes", config={"vocabularies": [str(path)]})
    return nlp


def test_kiwi_codes_sets_codes_in_this_and_other_processes(made: Vocabulary) -> None:
    nlp = pipeline(made.path)
    for docs in ([nlp("No DVT, zebra.")], list(nlp.pipe(["No DVT, zebra."] * 2, n_process=2))):
        for doc in docs:
            assert [code.code for fact in doc._.facts for code in fact.codes] == ["2"]
            assert doc._.provenance["vocabularies"] == f"v.sqlite {made.hash[:16]}"


def test_codes_survive_bytes(made: Vocabulary) -> None:
    nlp = pipeline(made.path)
    doc = nlp("DVT")
    assert Doc(nlp.vocab).from_bytes(doc.to_bytes())._.facts == doc._.facts


def test_a_linked_place_is_part_of_what_is_looked_up(made: Vocabulary) -> None:
    nlp = pipeline(made.path)
    doc = nlp.make_doc("fracture of the left wrist")
    doc.set_ents([doc.char_span(0, 8, label="problem")])
    place = doc.char_span(16, 26, label="bodyloc")
    set_modifiers(doc, [place])
    set_relations(doc, [(doc.ents[0], place, 1.0)])
    nlp.get_pipe("kiwi_facts")(doc)
    nlp.get_pipe("kiwi_codes")(doc)
    assert [code.code for code in doc._.facts[0].codes] == ["5"]


def test_a_saved_pipeline_takes_the_vocabulary_from_where_it_is_told(made: Vocabulary, tmp_path: Path) -> None:
    pipeline(made.path).to_disk(tmp_path / "saved")
    moved = made.path.rename(tmp_path / "moved.sqlite")
    with pytest.raises(KiwiError, match=r"No vocabulary at .*v\.sqlite"):
        spacy.load(tmp_path / "saved")
    nlp = spacy.load(tmp_path / "saved", config={"components": {"kiwi_codes": {"vocabularies": [str(moved)]}}})
    assert nlp("DVT")._.facts[0].codes[0].code == "2"


def test_facts_without_a_code_are_counted(made: Vocabulary) -> None:
    nlp = pipeline(made.path)
    nlp.get_pipe("entity_ruler").add_patterns([{"label": "problem", "pattern": "zebra"}])
    assert nlp("zebra")._.problems == {"no code found": 1}


def test_without_the_extra_the_error_says_what_to_install(made: Vocabulary, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rapidfuzz.distance", None)
    with pytest.raises(KiwiError, match=r"kiwi-spacy\[codes\]"):
        Vocabulary(made.path)


def test_another_file_is_no_vocabulary(tmp_path: Path) -> None:
    (tmp_path / "x.sqlite").write_text("no database, but some text that is long enough to be read as a page of one" * 20)
    with pytest.raises(KiwiError, match="is no vocabulary"):
        Vocabulary(tmp_path / "x.sqlite")


def test_the_command_builds_and_looks_up(tmp_path: Path) -> None:
    (tmp_path / "v.csv").write_text("code,term,synonyms\n1,Gout,podagra\n,lost,\n")
    out, run = tmp_path / "v.sqlite", CliRunner()
    built = run.invoke(app, ["vocabulary", "build", str(tmp_path / "v.csv"), "-o", str(out), "--system", "snomed"])
    assert (built.exit_code, "v.csv, line 3: no code" in built.output) == (0, True)
    assert run.invoke(app, ["vocabulary", "look-up", "Podagra", "-v", str(out)]).output == "1  Gout  exact 1.00  (podagra)\n"
    assert run.invoke(app, ["vocabulary", "look-up", "zebra", "-v", str(out)]).exit_code == 1
    assert "v.csv, line 3: no code" in run.invoke(app, ["vocabulary", "info", "-v", str(out), "--rejected"]).output

"""What a part of the package says where its libraries are not installed, and that the other parts work without them."""

import json
import subprocess
import sys

import pytest
import spacy

from kiwi_spacy.errors import KiwiError, MissingExtraError
from kiwi_spacy.extras import extra

# A process in which libraries are not installed: neither they nor their entry points are found.
WITHOUT = """
import importlib.metadata, json, sys
import catalogue
missing = sys.argv[1].split()
for name in missing:
    sys.modules[name] = None
found = catalogue.AVAILABLE_ENTRY_POINTS
found = [each for group in found.groups for each in found.select(group=group)]
catalogue.AVAILABLE_ENTRY_POINTS = importlib.metadata.EntryPoints(e for e in found if e.value.split(".")[0] not in missing)
import spacy

def said(act):
    try:
        act()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "nothing"

"""
LLAMA = "spacy_llm peft gguf accelerate"
ALL = f"{LLAMA} torch transformers spacy_transformers matplotlib rapidfuzz platformdirs cassis pyarrow sqlalchemy"


def run_without(missing: str, code: str) -> dict[str, str]:
    done = subprocess.run([sys.executable, "-c", WITHOUT + code, missing], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def test_error_names_package_and_extra_and_is_an_import_error() -> None:
    said = r"nowhere is not installed. Run: pip install 'kiwi-spacy\[study\]'"
    with pytest.raises(MissingExtraError, match=said) as caught, extra("study"):
        import nowhere.at_all  # noqa: F401
    assert isinstance(caught.value, ImportError) and isinstance(caught.value, KiwiError)


def test_a_missing_module_of_our_own_is_not_called_an_extra() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"kiwi_spacy\.nowhere") as caught, extra("study"):
        import kiwi_spacy.nowhere  # noqa: F401
    assert not isinstance(caught.value, KiwiError)


def test_base_install_makes_facts_and_each_missing_part_says_its_extra() -> None:
    code = """
nlp = spacy.blank("en")
nlp.add_pipe("kiwi_sections")
nlp.add_pipe("kiwi_facts")
doc = nlp("ALLERGIES: None.")
print(json.dumps({
    "sections": doc._.sections[0].title,
    "bert": said(lambda: nlp.add_pipe("kiwi_entities")),
    "llama": said(lambda: nlp.add_pipe("kiwi_llm")),
    "codes": said(lambda: nlp.add_pipe("kiwi_codes")),
    "study": said(lambda: __import__("kiwi_spacy.study.comparison.report")),
    "tables": said(lambda: __import__("kiwi_spacy.tables")),
    "database": said(lambda: __import__("kiwi_spacy.formats.database")),
    "training": said(lambda: __import__("kiwi_spacy.train.loop")),
    "torch": str(sorted(name for name in ("torch", "transformers") if sys.modules.get(name))),
}))
"""
    told = run_without(ALL, code)
    assert told == {
        "sections": "ALLERGIES",
        "bert": "MissingExtraError: spacy_transformers is not installed. Run: pip install 'kiwi-spacy[bert]'",
        "llama": "MissingExtraError: peft is not installed. Run: pip install 'kiwi-spacy[llama]'",
        "codes": "MissingExtraError: platformdirs is not installed. Run: pip install 'kiwi-spacy[codes]'",
        "study": "MissingExtraError: matplotlib is not installed. Run: pip install 'kiwi-spacy[study]'",
        "tables": "MissingExtraError: pyarrow is not installed. Run: pip install 'kiwi-spacy[tables]'",
        "database": "MissingExtraError: sqlalchemy is not installed. Run: pip install 'kiwi-spacy[database]'",
        "training": "MissingExtraError: torch is not installed. Run: pip install 'kiwi-spacy[bert]'",
        "torch": "[]",
    }


def test_building_a_pipeline_imports_no_engine_that_it_does_not_use() -> None:
    code = """
nlp = spacy.blank("en")
nlp.add_pipe("kiwi_sections")
print(json.dumps({"loaded": str(sorted({"kiwi_spacy.engines.bert", "kiwi_spacy.engines.llama"} & set(sys.modules)))}))
"""
    assert run_without("", code) == {"loaded": "[]"}


@pytest.mark.skipif(not spacy.util.is_package("en_kiwi_bert"), reason="en_kiwi_bert is not installed; `make test` installs it")
def test_bert_pipeline_loads_and_finds_without_what_the_llama_engine_needs() -> None:
    code = """
nlp = spacy.load("en_kiwi_bert")
doc = nlp("She denies chest pain.")
print(json.dumps({"found": str(doc.ents), "llama": said(lambda: spacy.blank("en").add_pipe("kiwi_llm"))}))
"""
    assert run_without(f"{LLAMA} matplotlib rapidfuzz platformdirs cassis", code) == {
        "found": "(chest pain,)", "llama": "MissingExtraError: peft is not installed. Run: pip install 'kiwi-spacy[llama]'",
    }

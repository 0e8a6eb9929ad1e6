"""The command answers --help and --version without spaCy; whoever imports the package finds all of it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("spacy", "torch", "numpy", "kiwi_spacy.contract")
COMMAND = """
import json, sys
import kiwi_command
sys.argv = ["kiwi", *sys.argv[1:]]
try:
    kiwi_command.main()
except SystemExit as end:
    print("\\n" + json.dumps({"code": end.code or 0, "loaded": sorted(sys.modules)}))
"""


def _run(code: str, *args: str) -> str:
    done = subprocess.run([sys.executable, "-c", code, *args], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("args", [["--help"], ["--version"], ["extract", "--help"], ["vocabulary", "--help"]], ids=" ".join)
def test_help_and_version_import_neither_spacy_nor_torch(args: list[str]) -> None:
    *said, last = _run(COMMAND, *args).splitlines()
    told = json.loads(last)
    assert "kiwi" in "".join(said) and told["code"] == 0
    assert [name for name in HEAVY if name in told["loaded"]] == []


def test_help_of_convert_names_every_format() -> None:
    from kiwi_spacy.formats.registry import FORMATS

    said = " ".join(_run(COMMAND, "convert", "--help").split())
    assert [name for name in FORMATS if f"{name}: " not in said] == []
    assert "{read}" not in said and "{written}" not in said


@pytest.mark.parametrize(
    "imports",
    ["import kiwi_spacy; from spacy.tokens import Doc", "from spacy.tokens import Doc; import kiwi_spacy",
     "import kiwi_command, kiwi_spacy.contract; from spacy.tokens import Doc; kiwi_spacy.Fact; kiwi_spacy.load_schema"],
    ids=["before spaCy", "after spaCy", "in the command"],
)
def test_extensions_are_there_without_any_pipeline(imports: str) -> None:
    code = f"""
{imports}
from spacy.vocab import Vocab
doc = Doc(Vocab(), words=["fever"])
print(doc._.relations, doc._.sections, doc._.facts, doc._.note_date, doc[:1]._.is_negated)
"""
    assert _run(code) == "[] [] [] None False\n"


def test_the_rules_are_imported_when_facts_are_asked_for() -> None:
    code = "import kiwi_spacy, sys; print('kiwi_spacy.components.facts' in sys.modules)"
    assert _run(code) == "False\n"


def test_an_unknown_name_of_the_package_is_an_attribute_error() -> None:
    import kiwi_spacy

    with pytest.raises(AttributeError, match="module 'kiwi_spacy' has no attribute 'nothing'"):
        kiwi_spacy.nothing  # noqa: B018


def test_the_script_of_the_command_is_light() -> None:
    setup = (Path(__file__).parents[2] / "setup.cfg").read_text()
    assert "kiwi = kiwi_command:main" in setup

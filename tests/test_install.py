"""What pip builds and installs: sdist and wheel hold all of the package, a wheel alone works, every extra resolves."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "kiwi_spacy"
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
# What only the other parts need: names of distributions.
NOT_FOR_BERT = {"peft", "gguf", "accelerate", "spacy-llm", "matplotlib", "rapidfuzz", "dkpro-cassis"}
OFFLINE = ("dns error", "failed to fetch", "error sending request", "could not connect", "network is unreachable")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel built of it, as CI and a user make them."""
    source = tmp_path_factory.mktemp("source")
    shutil.copytree(PACKAGE, source / "kiwi_spacy", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE", "kiwi_command.py"):
        shutil.copy(ROOT / name, source / name)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(source / "dist"), str(source)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return source / "dist"


def test_sdist_and_wheel_hold_every_file_of_the_package(built: Path) -> None:
    files = {
        path.relative_to(ROOT).as_posix() for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    } | {"kiwi_command.py"}
    (sdist,), (wheel,) = built.glob("*.tar.gz"), built.glob("*.whl")
    with tarfile.open(sdist) as archive:
        packed = {name.partition("/")[2] for name in archive.getnames()}
    assert files - packed == set()
    assert {"setup.cfg", "pyproject.toml", "README.md", "LICENSE"} - packed == set()
    with zipfile.ZipFile(wheel) as archive:
        assert {name for name in archive.namelist() if ".dist-info/" not in name} == files


def test_installed_wheel_works_without_the_checkout(built: Path, tmp_path: Path) -> None:
    (wheel,) = built.glob("*.whl")
    site = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(site), str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    code = (
        "import spacy, kiwi_spacy; nlp = spacy.blank('en'); nlp.add_pipe('kiwi_sections');"
        "nlp.add_pipe('entity_ruler').add_patterns([{'label': 'problem', 'pattern': 'fever'}]); nlp.add_pipe('kiwi_facts');"
        "doc = nlp('ALLERGIES: No fever.');"
        "print(kiwi_spacy.__file__, doc._.sections[0].title, [f.status.certainty for f in doc._.facts])"
    )
    env = {**os.environ, "PYTHONPATH": str(site)}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{site / 'kiwi_spacy' / '__init__.py'} ALLERGIES")
    command = [sys.executable, "-m", "kiwi_spacy.cli", "--version"]
    told = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert (told.returncode, told.stdout.split()[0]) == (0, "kiwi_spacy")
    assert (site / "bin" / "kiwi").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("extras", ["bert", "all,dev"])
def test_extras_resolve_to_wheels(built: Path, extras: str, python: str) -> None:
    uv = shutil.which("uv", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
    if uv is None:
        pytest.skip("uv is not installed; `make test` installs it")
    (wheel,) = built.glob("*.whl")
    done = subprocess.run(
        [
            uv, "pip", "compile", "--quiet", "--python-version", python, "--only-binary", ":all:", "--no-header", "--no-annotate",
            "-",
        ],
        input=f"kiwi-spacy[{extras}] @ {wheel.as_uri()}", cwd=built, capture_output=True, text=True,
    )
    if done.returncode and any(reason in done.stderr.lower() for reason in OFFLINE):
        pytest.skip("no package index can be reached")
    assert done.returncode == 0, done.stderr
    names = {line.partition("==")[0] for line in done.stdout.splitlines()}
    assert {"spacy", "torch", "spacy-transformers"} <= names
    assert (names & NOT_FOR_BERT == set()) if extras == "bert" else (names >= NOT_FOR_BERT)

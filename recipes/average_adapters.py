"""Average two adapters of one run of tuning, such as the ends of two of its cycles, weight by weight.

    python recipes/average_adapters.py FIRST_PIPELINE SECOND_PIPELINE PART OUTPUT_PIPELINE

PART (0 to 1) is the second's. Both are pipelines of `kiwi train configs/llama.cfg`, the second begun from the first by `--base`:
adapters that began apart have nothing in common to be averaged. The head that foresees tags stays the second's: `kiwi train
configs/llama.cfg --base OUTPUT_PIPELINE --tuning.epochs 0` learns it anew.
"""

import shutil
import sys
from pathlib import Path

from safetensors.torch import load_file, save_file

WEIGHTS = Path("kiwi_llm") / "model" / "adapter_model.safetensors"


def main(first: Path, second: Path, part: float, output: Path) -> None:
    """Write a copy of the second pipeline with the averaged adapter."""
    one, other = load_file(first / WEIGHTS), load_file(second / WEIGHTS)
    if {name: weights.shape for name, weights in one.items()} != {name: weights.shape for name, weights in other.items()}:
        sys.exit(f"{first} and {second} have adapters of other shapes.")
    shutil.copytree(second, output)
    mean = {name: ((1 - part) * one[name].float() + part * other[name].float()).half().contiguous() for name in other}
    save_file(mean, output / WEIGHTS, metadata={"format": "pt"})
    print(f"{output} written")


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]), Path(sys.argv[4]))

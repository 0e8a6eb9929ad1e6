"""Write the study from a report of `kiwi compare` and a learning curve.

    python recipes/study.py REPORT.json CURVE.json OUTPUT.md

The report's first system is the bert engine, its second the llama engine, the others are peers. CURVE.json may be `-`,
where there is none.
"""

import json
import sys
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from kiwi_spacy.study.comparison.figures import END_TO_END
from kiwi_spacy.study.comparison.report import TASKS, percent
from kiwi_spacy.study.site.curve import format_curve


def gain(source: dict[str, Any], names: list[str], task: str = "entities") -> dict[str, Any]:
    """Return what the second engine has more than the first, of one task, relaxed."""
    pair = next(p for p in source["differences"] if [p["first"], p["second"]] == names)
    row = next(r for r in pair["rows"] if r["task"] == task and r["label"] is None and r["rule"] == "relaxed")
    return {"source": source["name"], "sure": row["p"] is not None and row["p"] < 0.05, **row}


def main(report_path: Path, curve_path: str, output: Path) -> None:
    """Write the study."""
    report = json.loads(report_path.read_text(encoding="utf-8"))
    names = [system["system"] for system in report["sources"][0]["systems"][:2]]
    gains = [gain(source, names) for source in report["sources"]]
    sure: dict[str, dict[str, list[str]]] = {name: {} for name in names}
    for task in END_TO_END:
        for each in (gain(source, names, task) for source in report["sources"]):
            if each["sure"]:
                sure[names[each["difference"] > 0]].setdefault(TASKS[task].split(",")[0].lower(), []).append(each["source"])
    speeds = [report["resources"][name]["tokens_per_second"] for name in names if name in report["resources"]]
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["percent"] = percent
    curve = None if curve_path == "-" else format_curve(json.loads(Path(curve_path).read_text(encoding="utf-8"))).rstrip()
    page = environment.get_template("study.md.jinja").render(
        report=report, names=names, gains=gains, curve=curve, tasks=TASKS,
        slower=speeds[0] / speeds[1] if len(speeds) > 1 else None,
        sure=sure,
    )
    output.write_text(page, encoding="utf-8")
    print(f"{output} written")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))

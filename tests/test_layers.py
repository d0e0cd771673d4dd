"""The import rule: no floor imports a higher one, heavy parties live in engine/, training never sees the truth,
and scores are made without a model.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# From the ground up. A module may import its own floor and any below; `visplay.recipe` and the like are ground.
GROUND, ENGINE, ROOMS, LOOP, TOOLS = range(5)
FLOORS = {
    "visplay.engine": ENGINE,
    "visplay.roles": ROOMS,
    "visplay.labels": ROOMS,
    "visplay.worlds": ROOMS,
    "visplay.evaluation": ROOMS,
    "visplay.report": ROOMS,
    "visplay.evolve": LOOP,
    "visplay.checks": LOOP,
    "visplay.stages": LOOP,
    "visplay.staging": LOOP,
    "visplay.mixing": LOOP,
    "visplay.withheld": LOOP,
    "visplay.drift": LOOP,
    "visplay.auditing": LOOP,
    "visplay.pool": LOOP,
    "visplay.labelling": LOOP,
    "visplay.sifting": LOOP,
    "visplay.measure": LOOP,
    "visplay.pretrain": LOOP,
    "visplay.study": LOOP,
    "visplay.doctor": LOOP,
    "visplay.guard": LOOP,
    "visplay.lineage": LOOP,
    "visplay.watch": LOOP,
    "tools": TOOLS,
}
BLIND_TO_TRUTH = ("visplay.roles", "visplay.labels", "visplay.engine")
HEAVY = ("torch", "transformers", "trl", "deepspeed", "sentence_transformers", "peft", "accelerate")
MAY_BE_HEAVY = ("visplay.engine", "visplay.pretrain")
# Scoring reads files; of the evaluator only this needs a model.
ASKS_A_MODEL = "visplay.evaluation.predict"
# The one thing taken late from a heavy library elsewhere: how Qwen's own processor sizes an image.
BORROWED = ("visplay.images", "transformers.models.qwen2_vl.image_processing_pil_qwen2_vl.smart_resize")


def within(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


def floor(module: str) -> int:
    return next((height for package, height in FLOORS.items() if within(module, package)), GROUND)


def imports(module: str, source: str) -> Iterator[tuple[int, str]]:
    """Line and full name of everything imported anywhere in `source`, also inside functions."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parent = module.split(".")[: -node.level] if node.level else []
            package = ".".join([*parent, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{package}.{alias.name}") for alias in node.names)


def broken_rule(module: str, imported: str) -> str | None:
    """Why `module` may not import `imported`; None when it may."""
    at_home = any(within(module, home) for home in MAY_BE_HEAVY) or (module, imported) == BORROWED
    if any(within(imported, heavy) for heavy in HEAVY) and not at_home:
        return "heavy third parties are imported in visplay/engine only"
    if within(imported, "peft") and module != "visplay.engine.lora":
        return "adapters have their home in visplay/engine/lora.py"
    if within(imported, "math_verify") and module != "visplay.labels.latex":
        return "math_verify hangs on hostile text; only visplay/labels/latex.py knows how to kill it"
    if within(imported, "visplay.worlds") and any(within(module, blind) for blind in BLIND_TO_TRUTH):
        return "training must not know the true answers"
    if within(imported, "visplay.engine") and within(module, "visplay.evaluation") and module != ASKS_A_MODEL:
        return "scores are made without a model; only visplay/evaluation/predict.py asks one"
    if floor(imported) > floor(module):
        return "a lower floor never imports a higher one"
    return None


def offences(path: str, source: str) -> list[str]:
    """One line per import in the file at `path`, relative to the root, that breaks a rule."""
    module = path.removesuffix(".py").replace("/", ".")
    lines = []
    for line, imported in imports(module, source):
        if rule := broken_rule(module.removesuffix(".__init__"), imported):
            lines.append(f"{path}:{line} imports {imported}: {rule}")
    return lines


def test_no_import_breaks_a_rule() -> None:
    sources = [*ROOT.glob("visplay/**/*.py"), *ROOT.glob("tools/**/*.py")]
    assert len(sources) > 10
    found = [line for path in sources for line in offences(str(path.relative_to(ROOT)), path.read_text())]
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("visplay/records.py", "from visplay.roles.rewards import difficulty"),
        ("visplay/images.py", "from visplay import evolve"),
        ("visplay/engine/models.py", "from visplay.labels import voting"),
        ("visplay/engine/models.py", "from ..labels import voting"),
        ("visplay/report/table.py", "import visplay.evolve"),
        ("visplay/evolve.py", "import tools.evolve"),
        ("visplay/images.py", "import transformers"),
        ("visplay/roles/rewards.py", "def late():\n    import torch.nn"),
        ("visplay/evolve.py", "from trl import GRPOTrainer"),
        ("tools/evolve.py", "import peft"),
        ("visplay/engine/models.py", "from peft import PeftModel"),
        ("visplay/labels/answers.py", "from math_verify import parse"),
        ("visplay/labels/silver.py", "from visplay.worlds.audit import silver_accuracy"),
        ("visplay/roles/reasoner.py", "from visplay import worlds"),
        ("visplay/evaluation/scoring.py", "from visplay.engine.sampling import Sampler"),
        ("visplay/evaluation/benchmarks/mmmu.py", "def late():\n    from visplay.engine import sampling"),
    ],
)
def test_the_rule_catches(path: str, source: str) -> None:
    assert len(offences(path, source)) == 1


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("visplay/engine/grpo.py", "import torch\nfrom trl import GRPOTrainer\nfrom visplay.records import Question"),
        ("visplay/engine/__init__.py", "from . import models"),
        ("visplay/roles/questioner.py", "from visplay.labels.voting import tally\nimport torchless"),
        ("visplay/labels/latex.py", "from math_verify import parse"),
        ("visplay/evolve.py", "from visplay.worlds import audit\nfrom visplay.report.table import render"),
        ("visplay/pretrain/base.py", "import torch"),
        ("visplay/evaluation/predict.py", "from visplay.engine.sampling import Sampler"),
        ("tools/evolve.py", "from visplay.evolve import evolve"),
    ],
)
def test_the_rule_allows(path: str, source: str) -> None:
    assert offences(path, source) == []


def test_an_offence_names_file_line_and_reason() -> None:
    assert offences("visplay/records.py", "\nimport torch") == [
        "visplay/records.py:2 imports torch: heavy third parties are imported in visplay/engine only"
    ]

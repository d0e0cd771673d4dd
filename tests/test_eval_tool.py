"""The command as a user runs it: processes, files, exit statuses."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROWS = [
    {"id": "validation_Art_1", "question": "?", "question_type": "multiple-choice", "answer": "A"}
    | {"options": "['one', 'two']"},
    {"id": "validation_Math_2", "question": "?", "question_type": "open", "answer": r"\frac{1}{2}", "options": "[]"},
]
RESPONSES = ["I cannot tell", r"\boxed{0.5}"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "data.jsonl").write_text("\n".join(map(json.dumps, ROWS)))
    predictions = [{"id": row["id"], "response": response} for row, response in zip(ROWS, RESPONSES, strict=True)]
    (tmp_path / "predictions.jsonl").write_text("\n".join(map(json.dumps, predictions)))
    return tmp_path


def tool(*arguments: object, seed: str = "0") -> subprocess.CompletedProcess[str]:
    """tools/eval.py, then a line that says which heavy modules it loaded."""
    code = (
        f"import sys; sys.path.insert(0, 'tools'); import eval; status = eval.main({list(map(str, arguments))!r})\n"
        "print('loaded', sorted({'torch', 'transformers', 'trl'} & set(sys.modules))); sys.exit(status)"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": seed}
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)


def score(folder: Path, *more: object, out: str = "out", seed: str = "0") -> subprocess.CompletedProcess[str]:
    named = ["--data", folder / "data.jsonl", "--predictions", folder / "predictions.jsonl", "--out", folder / out]
    return tool("score", "--benchmark", "mmmu", *named, *more, seed=seed)


def test_scores_are_made_read_and_compared_without_a_model(folder: Path) -> None:
    official = score(folder, "--protocol", "official")
    strict = score(folder, out="strict")
    compared = tool("compare", folder / "out", folder / "out")
    for run in (official, strict, compared, tool("list")):
        assert (run.returncode, run.stdout.splitlines()[-1]) == (0, "loaded []"), run.stderr
    assert "1 fallback (worth 0.50 right answers)" in official.stdout
    assert "1 parsed, 1 unparsed" in strict.stdout
    assert json.loads((folder / "out" / "scores.json").read_text())["figures"]["overall"]["mean"] == 0.25


def test_a_rule_that_reads_verdicts_is_refused_before_a_model_answers(folder: Path) -> None:
    asked = ["--benchmark", "hallusionbench", "--model", "none", "--data", folder / "data.jsonl"]
    done = tool("run", *asked, "--protocol", "official", "--out", folder / "out")
    assert done.returncode == 2
    assert "the official rule of hallusionbench reads verdicts, and a model gives answers" in done.stderr


def test_the_folder_of_several_benchmarks_serves_for_one(tmp_path: Path) -> None:
    (tmp_path / "mmmu").mkdir()
    (tmp_path / "mmmu" / "data.jsonl").write_text('{"id": "1"}')
    done = tool("run", "--benchmark", "mmmu", "--model", "none", "--data", tmp_path, "--out", tmp_path / "out")
    assert done.returncode == 2 and f"{tmp_path}/mmmu lacks the columns" in done.stderr


def test_the_hash_seed_does_not_matter(folder: Path) -> None:
    score(folder, out="one", seed="1")
    score(folder, out="two", seed="2")
    for name in ("scores.json", "samples.jsonl"):
        assert (folder / "one" / name).read_bytes() == (folder / "two" / name).read_bytes()


def test_what_a_user_can_put_right_is_one_line_and_status_two(folder: Path) -> None:
    (folder / "predictions.jsonl").write_text('{"id": "validation_Art_1", "response": "A"}')
    refused = score(folder)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "1 items have no prediction: validation_Math_2" in refused.stderr
    assert not (folder / "out").exists()
    assert score(folder, "--allow-missing").returncode == 0
    assert (
        "no benchmark 'mmlu'; use mmmu, "
        in tool("score", "--benchmark", "mmlu", *["--out", "x", "--predictions", "y"]).stderr
    )


def test_nothing_starts_that_could_not_be_finished(folder: Path) -> None:
    """The predictions of neither command exist: both refuse before they look."""
    (folder / "predictions.jsonl").unlink()
    assert "the judge protocol needs a judge" in score(folder, "--protocol", "judge").stderr
    asked = ["--model", "none", "--benchmark", "mmmu,local", "--out", folder / "out"]
    assert "local has no protocol 'official'" in tool("run", *asked, "--protocol", "official").stderr
    assert "--split is of one benchmark" in tool("run", *asked, "--split", "test").stderr
    assert "mmmu is missing; the data of several benchmarks" in tool("run", *asked, "--data", folder).stderr


def test_scores_by_another_protocol_are_not_replaced(folder: Path) -> None:
    assert score(folder).returncode == 0
    before = (folder / "out" / "scores.json").read_bytes()
    refused = score(folder, "--protocol", "official")
    assert (refused.returncode, (folder / "out" / "scores.json").read_bytes()) == (2, before)
    assert "holds scores by the strict protocol" in refused.stderr and "another --out" in refused.stderr
    assert score(folder, "--protocol", "strict").returncode == 0


def test_a_part_of_a_benchmark_is_not_called_the_benchmark(folder: Path) -> None:
    part = score(folder)
    assert "2 items, NOT the 900 that figures are published for" in part.stdout
    scores = json.loads((folder / "out" / "scores.json").read_text())
    assert (scores["n"], scores["official_n"], scores["official_size"]) == (2, 900, False)


def test_run_checks_the_data_of_the_last_benchmark_before_it_loads_a_model_for_the_first(folder: Path) -> None:
    for name, rows in (("mmmu", ROWS), ("local", [{"question": "?", "answer": "1", "image": "gone.png"}])):
        (folder / "all" / name).mkdir(parents=True)
        (folder / "all" / name / "data.jsonl").write_text("\n".join(map(json.dumps, rows)))
    asked = ["--model", "none", "--out", folder / "out", "--data"]
    several = tool("run", *asked, folder / "all", "--benchmark", "mmmu, local")
    twice = tool("run", *asked, folder / "all" / "local" / "data.jsonl", "--benchmark", "local, local")
    for refused in (several, twice):
        assert "item 0, picture 1 cannot be used" in refused.stderr and refused.returncode == 2
    assert not (folder / "out").exists()


def test_the_list_names_every_benchmark_with_its_protocols() -> None:
    lines = tool("list").stdout.splitlines()
    assert lines[0].split() == ["mmmu", "official,", "strict,", "judge", "MMMU/MMMU,", "validation"]
    assert any(line.startswith("local ") and line.endswith("by --data") for line in lines)

import json
import logging
import os
import re
import signal
from pathlib import Path

import pytest

from visplay.recipe import PoolSettings, Recipe
from visplay.runs import Run, RunError, Stopped, digest, ledger


def recipe(**changes: object) -> Recipe:
    return Recipe(model="base", pool=PoolSettings(source="images"), **changes)


def writes(text: str):
    """Work that leaves one file, in a subfolder."""

    def work(directory: Path) -> None:
        (directory / "weights").mkdir(exist_ok=True)
        (directory / "weights" / "a.txt").write_text(text)

    return work


def fails(directory: Path) -> None:
    raise AssertionError("this stage is done and must not run")


def contents(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


@pytest.fixture
def out(tmp_path):
    return tmp_path / "run"


class TestStage:
    def test_a_result_is_committed_under_its_iteration_and_name(self, out):
        with Run.open(out, recipe()) as run:
            result = run.stage(1, "ask", writes("q"), {"images": 3})
        assert result == out / "iter_01" / "ask"
        assert (result / "weights" / "a.txt").read_text() == "q"
        assert os.listdir(out / "partial") == []

    def test_a_committed_stage_does_not_run_again(self, out):
        with Run.open(out, recipe()) as run:
            result = run.stage(1, "ask", writes("q"), {"images": 3})
            assert run.stage(1, "ask", fails, {"images": 3}) == result
        with Run.open(out, recipe()) as run:
            assert run.stage(1, "ask", fails, {"images": 3}) == result

    def test_other_inputs_are_refused_by_name(self, out):
        with Run.open(out, recipe()) as run:
            run.stage(1, "ask", writes("q"), {"images": 3, "seed": 0, "pool": None})
            with pytest.raises(RunError, match=r"ask was made .*\(images was 3, now 4; pool was null, now absent\)"):
                run.stage(1, "ask", fails, {"images": 4, "seed": 0})

    def test_a_changed_file_is_refused_by_name_with_the_way_out(self, out):
        with Run.open(out, recipe()) as run:
            (run.stage(1, "ask", writes("q"), {}) / "weights" / "a.txt").write_text("p")
        with Run.open(out, recipe()) as run, pytest.raises(RunError, match=r"weights/a.txt is not .* or delete .*ask"):
            run.stage(1, "ask", fails, {})

    def test_a_deleted_result_is_made_again(self, out):
        with Run.open(out, recipe()) as run:
            result = run.stage(1, "ask", writes("q"), {})
            (result / "weights" / "a.txt").unlink()
            (result / "weights").rmdir()
            (result / "manifest.json").unlink()
            result.rmdir()
            assert run.stage(1, "ask", writes("q"), {}) == result
        assert [entry["stage"] for entry in ledger.read(out)] == ["ask", "ask"]

    def test_two_runs_leave_the_same_bytes(self, tmp_path):
        for name in ("one", "two"):
            with Run.open(tmp_path / name, recipe()) as run:
                asked = run.stage(1, "ask", writes("q"), {"images": 3})
                run.stage(1, "label", writes("v"), {"ask": digest(asked)})
        assert contents(tmp_path / "one" / "iter_01") == contents(tmp_path / "two" / "iter_01")


class TestPartial:
    @staticmethod
    def attempt(run: Run, work, resumable: bool, seed: int = 0) -> Path:
        return run.stage(1, "questioner", work, {"seed": seed}, resumable)

    @staticmethod
    def breaks_off(directory: Path) -> None:
        (directory / "steps").mkdir()
        (directory / "steps" / "10").write_text("half way")
        (directory / "left.txt").write_text("left")
        raise OSError("disk full")

    def test_what_breaks_off_is_never_a_result(self, out):
        with Run.open(out, recipe()) as run, pytest.raises(OSError, match="disk full"):
            self.attempt(run, self.breaks_off, resumable=False)
        assert not (out / "iter_01").exists() and ledger.read(out) == []

    def test_a_stage_starts_in_an_empty_directory(self, out):
        with Run.open(out, recipe()) as run:
            with pytest.raises(OSError):
                self.attempt(run, self.breaks_off, resumable=False)
            seen = []
            self.attempt(run, lambda directory: seen.extend(os.listdir(directory)), resumable=False)
        assert seen == []

    def test_a_resumable_stage_finds_its_steps_and_leaves_them_out_of_the_result(self, out):
        def goes_on(directory: Path) -> None:
            (directory / "final.txt").write_text((directory / "steps" / "10").read_text() + ", then done")

        with Run.open(out, recipe()) as run:
            with pytest.raises(OSError):
                self.attempt(run, self.breaks_off, resumable=True)
            result = self.attempt(run, goes_on, resumable=True)
        assert set(contents(result)) == {"final.txt", "left.txt", "manifest.json"}
        assert (result / "final.txt").read_text() == "half way, then done"

    def test_steps_made_from_other_inputs_are_not_resumed(self, out):
        seen = []
        with Run.open(out, recipe()) as run:
            with pytest.raises(OSError):
                self.attempt(run, self.breaks_off, resumable=True, seed=0)
            self.attempt(run, lambda directory: seen.extend(os.listdir(directory)), resumable=True, seed=1)
        assert seen == []

    def test_a_sealed_attempt_from_other_inputs_is_made_again(self, out):
        with Run.open(out, recipe()) as run:
            self.attempt(run, writes("old"), resumable=True, seed=0)
            (out / "iter_01" / "questioner").rename(out / "partial" / "iter_01_questioner")
            result = self.attempt(run, writes("new"), resumable=True, seed=1)
        assert (result / "weights" / "a.txt").read_text() == "new"

    def test_a_kill_between_manifest_and_rename_costs_no_work(self, out):
        with Run.open(out, recipe()) as run:
            self.attempt(run, writes("w"), resumable=True)
        partial = out / "partial" / "iter_01_questioner"
        (out / "iter_01" / "questioner").rename(partial)
        (partial / "steps").mkdir()
        (out / "partial" / "iter_01_questioner.json").write_text('{"seed": 0}')
        with Run.open(out, recipe()) as run:
            result = self.attempt(run, fails, resumable=True)
        assert set(contents(result)) == {"weights/a.txt", "manifest.json"}
        assert not (result / "steps").exists()

    def test_a_stop_names_the_stage(self, out):
        def stops(directory: Path) -> None:
            raise Stopped(signal.SIGTERM)

        with Run.open(out, recipe()) as run, pytest.raises(Stopped, match="^stopped in iteration 1, questioner; run"):
            self.attempt(run, stops, resumable=True)


def test_what_is_about_the_machine_may_change(out):
    method = recipe().grpo
    on_one = method | {
        "num_generations": 8,
        "per_device_train_batch_size": 8,
        "deepspeed": {"train_batch_size": "auto"},
    }
    on_two = method | {"num_generations": 8, "per_device_train_batch_size": 4, "ddp_timeout": 60}
    with Run.open(out, recipe(grpo=on_one)) as run:
        run.stage(1, "ask", writes("q"), {"images": 3})
    Run.open(out, recipe(grpo=on_two)).close()
    assert "per_device_train_batch_size: 4" in (out / "recipe.yaml").read_text()
    with pytest.raises(RunError, match=r"another recipe:\n  grpo.num_generations: 8 -> 4\nchoose"):
        Run.open(out, recipe(grpo=on_two | {"num_generations": 4}))


def test_start_and_end_are_one_log_line_each(out, caplog):
    def work(directory: Path) -> None:
        counts = {"kept": 3000000, "share": 0.25, "dropped": {"tie": 2, "easy": 0}, "quarantined": {}}
        (directory / "summary.json").write_text(json.dumps(counts))

    caplog.set_level(logging.INFO, "visplay.runs")
    with Run.open(out, recipe()) as run:
        run.stage(1, "label", work, {})
        run.stage(1, "label", fails, {})
    start, end, again = caplog.messages
    assert start == "iteration 1, label: started"
    assert re.search(r"label: \d+\.\d s( \(.*\))?, kept", end)
    assert end.endswith(", kept 3,000,000, share 0.25, dropped (tie 2, easy 0), quarantined 0")
    assert again == "iteration 1, label: already done"


class TestOpen:
    def test_a_result_without_its_ledger_line_is_noted(self, out):
        with Run.open(out, recipe()) as run:
            run.stage(1, "ask", writes("q"), {})
        (out / "ledger.jsonl").write_text('{"iteration": 1, "sta')
        Run.open(out, recipe()).close()
        assert [entry["stage"] for entry in ledger.read(out)] == ["ask"]

    def test_the_resolved_recipe_is_stored(self, out):
        Run.open(out, recipe(seed=7)).close()
        assert "seed: 7\n" in (out / "recipe.yaml").read_text()

    def test_another_recipe_is_refused_with_the_difference(self, out):
        with Run.open(out, recipe()) as run:
            run.stage(0, "pool", writes("p"), {})
        with pytest.raises(RunError, match="made with another recipe:\n  iterations: 3 -> 2\n  seed: 0 -> 7\n"):
            Run.open(out, recipe(seed=7, iterations=2))
        Run.open(out, recipe()).close()

    def test_a_setting_can_be_put_right_until_a_stage_is_done(self, out):
        with Run.open(out, recipe(seed=1)) as run:
            run.fingerprint("model", "aaa")
            with pytest.raises(OSError):
                TestPartial.attempt(run, TestPartial.breaks_off, resumable=True)
        seen = []
        with Run.open(out, recipe(seed=2)) as run:
            run.fingerprint("model", "bbb")
            TestPartial.attempt(run, lambda directory: seen.extend(os.listdir(directory)), resumable=True)
        assert seen == [] and "seed: 2\n" in (out / "recipe.yaml").read_text()
        with pytest.raises(RunError, match="seed: 2 -> 1"):
            Run.open(out, recipe(seed=1))

    def test_more_iterations_are_allowed_and_stored(self, out):
        with Run.open(out, recipe(iterations=2)) as run:
            run.stage(0, "pool", writes("p"), {})
        Run.open(out, recipe(iterations=4)).close()
        with pytest.raises(RunError, match="iterations: 4 -> 3"):
            Run.open(out, recipe(iterations=3))

    def test_a_directory_that_holds_something_else_is_left_alone(self, out):
        out.mkdir()
        (out / "thesis.tex").write_text("")
        with pytest.raises(RunError, match="is not empty and holds no run"):
            Run.open(out, recipe())
        assert os.listdir(out) == ["thesis.tex"]

    def test_a_run_killed_before_its_recipe_was_stored_can_start(self, out):
        (out / "partial").mkdir(parents=True)
        (out / "lock").touch()
        Run.open(out, recipe()).close()
        assert (out / "recipe.yaml").exists()

    def test_other_data_is_refused_with_both_fingerprints(self, out):
        for _ in range(2):
            with Run.open(out, recipe()) as run:
                run.fingerprint("pool", "aaa")
                run.fingerprint("base model", "ccc")
        with Run.open(out, recipe()) as run, pytest.raises(RunError, match="began with pool aaa, now it is bbb"):
            run.fingerprint("pool", "bbb")

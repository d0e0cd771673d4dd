"""Score models on benchmarks: write predictions, score them by a named protocol, compare two scores.

run      predict and score, for one benchmark or several; DIR gets a folder for each
predict  write predictions.jsonl; needs the model; run the same command again to go on where it stopped
score    predictions.jsonl -> scores.json and samples.jsonl; needs no model
compare  the difference of two scored folders, paired by item
list     the benchmarks and their protocols
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import evolve as evolve_tool

if TYPE_CHECKING:
    from visplay.endpoint import Endpoint
    from visplay.evaluation.benchmark import Benchmark
    from visplay.evaluation.predict import Model
    from visplay.evaluation.scoring import Judge

PROTOCOLS = ("official", "strict", "judge")
PROMPTS = ("benchmark", "reasoner")


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status of tools/evolve.py."""
    chosen = _parser().parse_args(arguments)
    return evolve_tool.guarded(lambda: chosen.work(chosen))


def _run(chosen: argparse.Namespace) -> None:
    from visplay.evaluation.benchmarks import named
    from visplay.evaluation.files import check_folder
    from visplay.evaluation.predict import items_to_ask, predict
    from visplay.evaluation.scoring import check_protocol

    names = dict.fromkeys(name.strip() for name in chosen.benchmark.split(","))
    benchmarks = [named(name) for name in names]
    data = _data(chosen, benchmarks)
    model = _model(chosen)
    for benchmark in benchmarks:  # all that could end the last of them, before the first takes hours
        check_protocol(benchmark, chosen.protocol, _judge(chosen, benchmark, chosen.out), answers_only=True)
        check_folder(chosen.out / benchmark.NAME, chosen.protocol)
    asked = {one.NAME: items_to_ask(one, model.asking, data[one.NAME], chosen.split) for one in benchmarks}
    for benchmark in benchmarks:
        folder = chosen.out / benchmark.NAME
        predictions = predict(benchmark, model, folder, asked=asked.pop(benchmark.NAME))
        if predictions:  # another process scores what it is the last to predict
            _report(chosen, benchmark, predictions, data[benchmark.NAME], folder)


def _predict(chosen: argparse.Namespace) -> None:
    from visplay.evaluation.benchmarks import named
    from visplay.evaluation.predict import predict

    predictions = predict(named(chosen.benchmark), _model(chosen), chosen.out, data=chosen.data, split=chosen.split)
    if predictions:
        print(predictions)


def _score(chosen: argparse.Namespace) -> None:
    from visplay.evaluation.benchmarks import named
    from visplay.evaluation.files import check_folder

    check_folder(chosen.out, chosen.protocol)
    _report(chosen, named(chosen.benchmark), chosen.predictions, chosen.data, chosen.out)


def _compare(chosen: argparse.Namespace) -> None:
    from visplay.evaluation.compare import compare, pairs, render

    print("\n\n".join(render(compare(a, b)) for a, b in pairs(chosen.a, chosen.b)))


def _list(_: argparse.Namespace) -> None:
    from visplay.evaluation.benchmarks import BENCHMARKS

    for name, benchmark in BENCHMARKS.items():
        where = f"{benchmark.SOURCE}, {benchmark.SPLIT}" if benchmark.SOURCE else "data of your own, by --data"
        print(f"{name:<15} {', '.join(benchmark.PROTOCOLS):<25} {where}")


def _data(chosen: argparse.Namespace, benchmarks: Sequence[Benchmark]) -> dict[str, str]:
    """Where the rows of each benchmark lie; "" for the official place."""
    from visplay.errors import VisplayError
    from visplay.evaluation.suite import places

    names = [benchmark.NAME for benchmark in benchmarks]
    if len(names) == 1:
        own = Path(chosen.data, names[0])
        return {names[0]: str(own) if chosen.data and own.is_dir() else chosen.data}
    if chosen.split:
        raise VisplayError("--split is of one benchmark; run them one by one")
    return places(names, chosen.data)


def _model(chosen: argparse.Namespace) -> Model:
    from visplay.endpoint import Endpoint
    from visplay.evaluation.predict import Asking, LocalModel, ServedModel

    asking = Asking(chosen.max_new_tokens, chosen.batch, chosen.image_tokens, _prompt(chosen))
    if not chosen.url:
        return LocalModel(chosen.model, asking)
    # A long answer is silent until it is complete.
    return ServedModel(Endpoint(chosen.url, chosen.model, chosen.key, timeout_s=3600.0), asking)


def _prompt(chosen: argparse.Namespace) -> str:
    from visplay.evaluation.predict import QUESTION

    if chosen.prompt == "benchmark":
        return QUESTION
    from visplay.roles.reasoner import PROMPT

    return PROMPT


def _report(chosen: argparse.Namespace, benchmark: Benchmark, predictions: Path, data: str, folder: Path) -> None:
    from visplay.evaluation.files import write
    from visplay.evaluation.scoring import score_file
    from visplay.evaluation.table import render

    judge = _judge(chosen, benchmark, folder)
    facts = _judge_facts(chosen) if judge else {}
    given = {"data": data, "split": chosen.split, "allow_missing": chosen.allow_missing}
    result = score_file(benchmark, predictions, chosen.protocol, judge=judge, facts=facts, **given)
    write(result, folder)
    print(render(result))


def _judge(chosen: argparse.Namespace, benchmark: Benchmark, folder: Path) -> Judge | None:
    """The judge that was named; None where there is none to ask."""
    if chosen.protocol != "judge" or not (chosen.judge_url and chosen.judge_model):
        return None
    from visplay.evaluation.judge import judge_with

    return judge_with(_endpoint(chosen), benchmark.by_judge, folder / "verdicts.jsonl")


def _judge_facts(chosen: argparse.Namespace) -> dict[str, Any]:
    from visplay.evaluation.judge import facts

    return facts(_endpoint(chosen))


def _endpoint(chosen: argparse.Namespace) -> Endpoint:
    from visplay.endpoint import Endpoint

    return Endpoint(chosen.judge_url, chosen.judge_model, chosen.judge_key)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    # The deepspeed launcher puts it first in argv; the rank is read from the environment.
    parser.add_argument("--local_rank", type=int, help=argparse.SUPPRESS)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="predict and score")
    run.set_defaults(work=_run)
    run.add_argument("--benchmark", required=True, metavar="NAME[,NAME...]")
    _add_model(run)
    _add_places(run)
    _add_scoring(run)

    predict = commands.add_parser("predict", help="write predictions.jsonl, or go on with it")
    predict.set_defaults(work=_predict)
    predict.add_argument("--benchmark", required=True, metavar="NAME")
    _add_model(predict)
    _add_places(predict)

    score = commands.add_parser("score", help="score predictions.jsonl; needs no model")
    score.set_defaults(work=_score)
    score.add_argument("--benchmark", required=True, metavar="NAME")
    score.add_argument("--predictions", required=True, type=Path, metavar="FILE", help="JSONL with id and response")
    _add_places(score)
    _add_scoring(score)

    compare = commands.add_parser("compare", help="what DIR_B gains over DIR_A on the same items; DIRs of score or run")
    compare.set_defaults(work=_compare)
    compare.add_argument("a", type=Path, metavar="DIR_A")
    compare.add_argument("b", type=Path, metavar="DIR_B")

    commands.add_parser("list", help="the benchmarks and their protocols").set_defaults(work=_list)
    return parser


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", required=True, help="checkpoint folder or HF id; with --url the name it serves")
    parser.add_argument("--url", default="", help="an OpenAI-compatible server; default: load the model here")
    parser.add_argument("--key", default="", metavar="VARIABLE", help="environment variable with the API key of --url")
    prompt = "benchmark: its own text; reasoner: the same inside the Reasoner's prompt; default: benchmark"
    parser.add_argument("--prompt", default="benchmark", choices=PROMPTS, help=prompt)
    parser.add_argument("--max-new-tokens", type=int, default=2048, metavar="N", help="default: 2048")
    parser.add_argument("--batch", type=int, default=8, metavar="N", help="items at a time; default: 8")
    tokens = "visual tokens per picture at most, 28 x 28 pixels each; default: 1024"
    parser.add_argument("--image-tokens", type=int, default=1024, metavar="N", help=tokens)


def _add_places(parser: argparse.ArgumentParser) -> None:
    source = "HF id, save_to_disk folder, parquet file or folder, JSON or JSONL; default: the official HF id"
    parser.add_argument("--data", default="", metavar="PATH_OR_HF_ID", help=source)
    parser.add_argument("--split", default="", help="default: the official one")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR")


def _add_scoring(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--protocol", default="strict", choices=PROTOCOLS, help="default: strict")
    parser.add_argument("--allow-missing", action="store_true", help="count items without a prediction as wrong")
    parser.add_argument("--judge-url", metavar="URL", help="OpenAI-compatible endpoint of the judge protocol")
    parser.add_argument("--judge-model", metavar="NAME", help="the model that judges there")
    parser.add_argument("--judge-key", default="", metavar="VARIABLE", help="environment variable with its API key")


if __name__ == "__main__":
    sys.exit(main())

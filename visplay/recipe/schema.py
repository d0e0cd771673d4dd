"""Every key of a recipe, its type and its default.

Source of the defaults: VisPlay, arXiv 2511.15661, section 3 and appendix; where the paper is silent, the released code.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING


@dataclass
class PoolSettings:
    """Where the unlabelled images come from, and how large they may be for the model."""

    source: str = MISSING  # a folder, a parquet file or folder, a .jsonl of paths, hf:DATASET_ID, or world:scenes
    split: str = "train"  # split of a hf: dataset
    column: str = "image"  # image column of parquet or dataset; the path key of a .jsonl; no other column is read
    min_tokens: int = 4  # visual tokens per image, lower limit (one token = 28 x 28 pixels)
    max_tokens: int = 1024  # visual tokens per image, upper limit
    max_bad_share: float = 0.05  # stop when more than this share of the files cannot be used
    world_images: int = 4096  # images to render for a world: source


@dataclass
class SamplingSettings:
    """How completions are drawn outside GRPO: asking, voting, evaluation."""

    engine: str = "transformers"  # or vllm: OpenAI-compatible servers, those of `servers` or started by `command`
    batch: int = 256  # completions decoded together at most; vllm: under way at each server
    threads: int = 1  # batches that are decoded at the same time on a CPU; not for vllm
    batch_tokens: int = 131072  # of prompts and completions that are decoded together, at most; not for vllm
    temperature: float = 1.0
    top_p: float = 1.0
    servers: list[str] = field(default_factory=list)  # base URLs
    command: str | None = None  # starts a server when model, name, host and port are appended
    gpus: list[str] = field(default_factory=list)  # one server each, with these as CUDA_VISIBLE_DEVICES; []: one server
    start_timeout_s: float = 900.0
    timeout_s: float = 600.0  # of silence, until a request is tried again
    max_unanswered: float = 0.05  # stop when more than this share of the samples stays unanswered


@dataclass
class LoraSettings:
    """Small matrices beside the frozen weights are trained, in both roles over one base. Without dropout."""

    rank: int | None = None  # None: no LoRA, all weights are trained
    alpha: float = 32.0  # what the matrices add is scaled by alpha / rank
    targets: list[str] = field(default_factory=list)  # names of linear layers, such as q_proj; []: all but the head


@dataclass
class QuestionerSettings:
    """The role that sees an image and writes one question."""

    prompt: str | None = None  # None: the prompt in visplay/roles/questioner.py
    train: bool = True  # false: a frozen Questioner, the base asks in every iteration
    steps: int = 20  # optimizer steps per iteration
    images_per_step: int = 512
    max_new_tokens: int = 1024
    difficulty: str = "paper"  # paper: 1 - |2c - 1|; released: min(c, 1 - c); corrected: paper's, c beyond chance
    diversity: str = "embedding"  # embedding clusters, or bleu (the paper's)
    diversity_scope: str = "image"  # image: within one image's group; batch: the whole step's questions
    diversity_weight: float = 1.0  # lambda
    relu: bool = True  # max(0, difficulty - penalty); false, as in the released code: without the max
    cluster_distance: float = 0.5  # average-linkage threshold: cosine distance, or 1 - BLEU
    embedder: str = "offline"  # offline, or a sentence-transformers model id
    invalid_reward: float = 0.0  # reward of a question that does not parse (released code: -1)
    blind_weight: float = 0.0  # charge for a question that is answered alike without its image; 0: not asked so
    blind_votes: int = 4  # without the image, on each question, where blind_weight is above 0


@dataclass
class AskSettings:
    """The candidate questions of one iteration."""

    images: int = 8000  # fresh images per iteration
    questions_per_image: int = 1


@dataclass
class BandSettings:
    """The kept confidences of each kind of question, [low, high]; []: labels.band_low and labels.band_high."""

    yes_no: list[float] = field(default_factory=list)  # of two answers the majority has half by chance
    multiple_choice: list[float] = field(default_factory=list)  # of lettered options
    numerical: list[float] = field(default_factory=list)
    short_text: list[float] = field(default_factory=list)


@dataclass
class QuotaSettings:
    """The most that a type of question may be of the kept rows, as a share; 1 is no limit."""

    yes_no: float = 1.0  # multiple choice without options
    multiple_choice: float = 1.0  # with options
    numerical: float = 1.0
    short_text: float = 1.0


@dataclass
class LabelSettings:
    """Votes and the band of confidences that are kept."""

    votes: int = 10  # m: samples per question, the same in the reward and in the labels
    band_low: float = 0.25
    band_high: float = 0.75
    confidence_over: str = "all"  # all: majority / m, an unparsed sample agrees with nobody; parsed: over parsed votes
    keep_unanswerable: bool = False  # true: "unanswerable" is an answer like any other; false: such rows are dropped
    own_answer_agrees: bool = False  # true: keep a question only where the majority is the Questioner's own answer
    balance_yes_no: bool = False  # true: as many "yes" as "no" are kept; a surplus teaches a habit, not sight
    min_parsed: int = 5  # fewer parsed votes than this: dropped, whatever their agreement
    bands: BandSettings = field(default_factory=BandSettings)
    chance_corrected: bool = False  # true: bands are over (c - 1/k) / (1 - 1/k), k options: a guess has none
    second_view: str | None = None  # padded or shrunk: what is kept is voted on again, so seen, and must agree
    second_prompt: str | None = None  # short: again, without thinking; with second_view both at once
    trust_low: float = 0.0  # least trust that is kept, trust being the probability that the silver answer is true
    trust_prior: float = 1.0  # votes added to each answer in the trust: few votes are no certainty
    trust_from: str = "votes"  # or the last audit, whose truth then steers training: by kinds, or words
    weight_power: float = 0.0  # advantages are multiplied by trust^power: doubtful rows teach less; 0: all teach alike
    blind: list[str] = field(default_factory=list)  # also vote without sight: no_image, grey_image or both; []: never
    blind_votes: int = 5  # for each of them, on each row that is kept so far
    blind_share: float | None = 0.5  # of blind votes beyond chance for the silver answer: dropped; None: only measured
    repeat_share: float = 1.0  # of all rows ever kept, for one question's text; 1: no limit
    repeat_distance: float = 0.0  # texts whose clusters join at this 1 - BLEU count as one text; 0: only the same text
    quota: QuotaSettings = field(default_factory=QuotaSettings)

    @property
    def second_pass(self) -> bool:
        """Whether what is kept is voted on again."""
        return self.second_view is not None or self.second_prompt is not None


@dataclass
class AuditSettings:
    """Silver labels on images that training never sees, held against what is known about them; only for measuring."""

    images: int = 0  # pictures of the world, on which the Questioner is judged too; 0: no audit
    data: str | None = None  # your own questions with answers (parquet, .jsonl, .json, saved dataset) instead


@dataclass
class ReasonerSettings:
    """The role that answers; trained on silver answers."""

    prompt: str | None = None  # None: the prompt in visplay/roles/reasoner.py; must contain {question}
    steps: int = 20  # optimizer steps per iteration
    questions_per_step: int = 512
    max_passes: float | None = None  # over the rows: where these are few, fewer steps; None: all steps
    max_new_tokens: int = 2048
    format_weight: float = 0.1  # share of the reward paid for a box, whatever stands in it
    group_filter: bool = False  # true: groups whose rewards are alike, or nearly all full, are left out
    anchor_share: float = 0.0  # of the rows: pictures of the world with true answers; above 0 no label-free claim holds
    replay_share: float = 0.0  # of the rows: kept rows of earlier iterations, all equally likely
    keep_step: str = "last"  # or the step that is right most often about kept rows set aside (silver), or the audit's
    check_rows: int = 200  # asked for that at every step checkpoint; silver: a fifth of the kept rows at most


@dataclass
class EvaluationSettings:
    """Held-out questions with known answers, and benchmarks; only for measuring."""

    world: str | None = None  # scenes, or null: no held-out score
    split: str = "heldout"  # heldout, or validation: questions to choose settings by, so that held-out ones stay unseen
    questions: int = 1200  # greedy accuracy
    sampled_questions: int = 400  # of these, drawn `samples` times for one-sample accuracy and majority
    samples: int = 10
    benchmarks: list[str] = field(default_factory=list)  # names as in `tools/eval.py list`; [] is none
    data: str | None = None  # a folder with a folder for each benchmark; None: the official data, from the hub's cache
    protocol: str = "strict"  # strict, or official: the authors' rule
    prompt: str = "benchmark"  # benchmark: its own; reasoner: its own, inside reasoner.prompt
    max_new_tokens: int = 2048  # longest answer to a benchmark
    batch: int = 8  # items of a benchmark answered together
    kl_samples: int = 0  # completions of each trained role that its KL to start and base is measured on; 0: it is not


@dataclass
class GuardSettings:
    """Rules over the figures of each iteration, and what an alarm leads to. A limit of None: its rule is off."""

    action: str | None = None  # None: no guard; warn: say so; stop: end the loop; rollback: go on from the best
    rollbacks: int = 2  # an alarm after so many ends the loop
    min_valid: float | None = 0.5  # share of the candidates that hold a question
    max_distinct_fall: float | None = 0.5  # how much of the first iteration's share of distinct questions may be lost
    max_one_question: float | None = 0.3  # share of the most frequent question
    max_one_answer: float | None = 0.6  # share of the most frequent answer, voted or written at the end of training
    max_one_sided: float | None = 0.85  # share of the more frequent one of "yes" and "no"
    min_vote_entropy: float | None = 0.05  # mean over the fresh questions; 0: all votes agree, 1: none do
    max_blind_share: float | None = 0.6  # of the silver answers that blind votes give, where labels.blind asks for them
    max_unanswerable: float | None = 0.4  # share of the questions that are voted unanswerable
    max_confidence: float | None = 0.85  # mean over the fresh questions: nothing is left to learn
    max_label_gap: float | None = 0.25  # confidence of the kept rows less the first agreement with them in training
    max_length_factor: float | None = 2.0  # completions so many times as long, or as short, as in the first step
    max_truncated: float | None = 0.2  # share of the completions at the end of a training
    max_kl: float | None = 0.5  # to the start of a training, at its end; needs evaluation.kl_samples or grpo.beta
    max_unscored: float | None = 0.2  # share of the completions whose reward could not be computed
    max_audit_fall: float | None = None  # under the best iteration's silver accuracy in the audit: truth then decides
    max_heldout_fall: float | None = 0.03  # under the best checkpoint's held-out accuracy; said, never acted on


@dataclass
class Recipe:
    """A whole run. `grpo` passes through to trl.GRPOConfig under TRL's own names, for both roles."""

    model: str = MISSING  # a local folder or a hub id of an image-text-to-text model
    iterations: int = 3
    seed: int = 0
    share_prompts: bool = True  # a prompt and its image are trained on once for all of its completions, where possible
    freeze_vision: bool = False  # true: the vision tower keeps the base's weights in both roles
    lora: LoraSettings = field(default_factory=LoraSettings)
    pool: PoolSettings = field(default_factory=PoolSettings)
    sampling: SamplingSettings = field(default_factory=SamplingSettings)
    questioner: QuestionerSettings = field(default_factory=QuestionerSettings)
    ask: AskSettings = field(default_factory=AskSettings)
    labels: LabelSettings = field(default_factory=LabelSettings)
    audit: AuditSettings = field(default_factory=AuditSettings)
    reasoner: ReasonerSettings = field(default_factory=ReasonerSettings)
    evaluation: EvaluationSettings = field(default_factory=EvaluationSettings)
    guard: GuardSettings = field(default_factory=GuardSettings)
    grpo: dict[str, Any] = field(
        default_factory=lambda: {
            "num_generations": 8,
            "learning_rate": 1e-6,
            "epsilon": 0.2,
            "epsilon_high": 0.3,
            "beta": 1e-2,
            "temperature": 1.0,
        }
    )

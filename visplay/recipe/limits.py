"""The values that a recipe may have: ranges, names, and which value bounds which. Tables only; `rules` reads them."""

from __future__ import annotations

WORLDS = ("scenes",)

PROTOCOLS = ("strict", "official")
# The benchmarks that are scored without a judge, and how.
BENCHMARKS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("mmmu", "mathverse", "mathvista", "mathvision"), PROTOCOLS),
    **dict.fromkeys(("mmstar", "realworldqa", "visnumbench"), PROTOCOLS),
    **dict.fromkeys(("hallusionbench", "local"), ("strict",)),  # the former's official rule reads verdicts
}
BLIND_VIEWS = ("no_image", "grey_image")  # ways of not seeing
BENCHMARK_TOKENS = 16  # pool.max_tokens at least

# Both ends are allowed; None is no upper limit.
RANGES: dict[str, tuple[float, float | None]] = {
    "iterations": (1, None),
    "seed": (0, 2**32 - 1),
    "lora.rank": (1, None),
    "lora.alpha": (0, None),
    "pool.min_tokens": (1, None),
    "pool.max_tokens": (1, None),
    "pool.max_bad_share": (0, 1),
    "pool.world_images": (1, None),
    "sampling.batch": (1, None),
    "sampling.batch_tokens": (1, None),
    "sampling.threads": (1, 64),
    "sampling.temperature": (0.01, 10),
    "sampling.top_p": (0.01, 1),
    "sampling.start_timeout_s": (1, None),
    "sampling.timeout_s": (1, None),
    "sampling.max_unanswered": (0, 1),
    "questioner.steps": (1, None),
    "questioner.images_per_step": (1, None),
    "questioner.max_new_tokens": (1, None),
    "questioner.diversity_weight": (0, 10),
    "questioner.cluster_distance": (0, 2),
    "questioner.invalid_reward": (-10, 0),
    "questioner.blind_weight": (0, 10),
    "questioner.blind_votes": (1, None),
    "ask.images": (1, None),
    "ask.questions_per_image": (1, None),
    "labels.votes": (2, None),
    "labels.band_low": (0, 1),
    "labels.band_high": (0, 1),
    "labels.min_parsed": (1, None),
    "labels.trust_low": (0, 1),
    "labels.trust_prior": (0, None),
    "labels.weight_power": (0, 100),
    "labels.blind_votes": (1, None),
    "labels.blind_share": (0.01, 1),
    "labels.repeat_share": (0, 1),
    "labels.quota.yes_no": (0, 1),
    "labels.quota.multiple_choice": (0, 1),
    "labels.quota.numerical": (0, 1),
    "labels.quota.short_text": (0, 1),
    "audit.images": (0, None),
    "reasoner.steps": (1, None),
    "reasoner.max_passes": (0.01, None),
    "reasoner.questions_per_step": (1, None),
    "reasoner.max_new_tokens": (1, None),
    "reasoner.format_weight": (0, 1),
    "reasoner.anchor_share": (0, 0.95),
    "reasoner.replay_share": (0, 0.95),
    "reasoner.check_rows": (1, None),
    "evaluation.questions": (1, None),
    "evaluation.sampled_questions": (0, None),
    "evaluation.samples": (1, None),
    "evaluation.max_new_tokens": (1, None),
    "evaluation.batch": (1, None),
    "evaluation.kl_samples": (0, None),
    "guard.rollbacks": (1, None),
    "guard.min_valid": (0, 1),
    "guard.max_distinct_fall": (0, 1),
    "guard.max_one_question": (0, 1),
    "guard.max_one_answer": (0, 1),
    "guard.max_one_sided": (0.5, 1),
    "guard.max_unanswerable": (0, 1),
    "guard.max_confidence": (0, 1),
    "guard.max_label_gap": (0, 1),
    "guard.max_length_factor": (1, None),
    "guard.max_truncated": (0, 1),
    "guard.max_kl": (0, None),
    "guard.max_unscored": (0, 1),
    "guard.max_audit_fall": (0, 1),
    "guard.max_heldout_fall": (0, 1),
    "grpo.num_generations": (2, None),
    "grpo.num_iterations": (1, None),
    "grpo.save_steps": (1, None),
    "grpo.per_device_train_batch_size": (1, None),
    "grpo.learning_rate": (0, 1),
    "grpo.beta": (0, None),
    "grpo.epsilon": (0, None),
    "grpo.epsilon_high": (0, None),
    "grpo.top_p": (0.01, 1),
    "grpo.top_k": (0, None),
    "grpo.min_p": (0, 1),
    "grpo.temperature": (0.01, 10),
}

NAMES: dict[str, tuple[str | None, ...]] = {
    "sampling.engine": ("transformers", "vllm"),
    "questioner.difficulty": ("paper", "released", "corrected"),
    "questioner.diversity": ("embedding", "bleu"),
    "questioner.diversity_scope": ("image", "batch"),
    "labels.confidence_over": ("all", "parsed"),
    "labels.trust_from": ("votes", "kinds", "words"),
    "labels.second_view": (None, "padded", "shrunk"),
    "labels.second_prompt": (None, "short"),
    "reasoner.keep_step": ("last", "silver", "audit"),
    "evaluation.world": (None, *WORLDS),
    "evaluation.split": ("heldout", "validation"),
    "evaluation.protocol": PROTOCOLS,
    "evaluation.prompt": ("benchmark", "reasoner"),
    "guard.action": (None, "warn", "stop", "rollback"),
    # Those that TRL itself looks at only after the first rollout.
    "grpo.loss_type": ("bnpo", "cispo", "dapo", "dr_grpo", "grpo", "luspo", "sapo", "vespo"),
    "grpo.importance_sampling_level": ("token", "sequence"),
}

# (smaller, larger, whether they may be equal)
ORDERED = (
    ("pool.min_tokens", "pool.max_tokens", True),
    ("labels.band_low", "labels.band_high", False),
    ("labels.min_parsed", "labels.votes", True),
    ("evaluation.sampled_questions", "evaluation.questions", True),
)

"""Makes the tiny base model that ships in data/base: real Qwen2.5-VL classes, 1.4 M parameters, taught on scenes.

This is the only supervised training in the project, done once; the loop never imports it. Four steps:
1. an untrained model with its own byte-level BPE tokenizer, learnt on the grammar's sentences;
2. alignment: each visual token is classified against the model's own word embeddings (place, size, color, kind);
   language-model loss alone leaves so small a vision tower ungrounded;
3. describing: what stands in each cell of a picture, so that a place, a color or a kind looks up the others;
4. asking and answering: questions to ask, and questions to answer with a worked solution, about pictures of few
   things only; fuller ones are left to the loop (see `Schedule`).
"""

from visplay.pretrain.base import CHAT_TEMPLATE, MARKS, SPECIAL, new_base
from visplay.pretrain.corpus import Corpus, Lesson, Schedule
from visplay.pretrain.teacher import ASK_PROMPT, DESCRIBE_PROMPT
from visplay.pretrain.training import Words, pretrain

__all__ = [
    "ASK_PROMPT",
    "CHAT_TEMPLATE",
    "DESCRIBE_PROMPT",
    "MARKS",
    "SPECIAL",
    "Corpus",
    "Lesson",
    "Schedule",
    "Words",
    "new_base",
    "pretrain",
]

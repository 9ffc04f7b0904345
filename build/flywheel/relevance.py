"""Is a post about trouble with fine-tuning a language model? First a broad rule on its words, then a learned score.

The rule lets through nearly everything that could be a signal (all 2,342 of the population) and 6 of 3,000 issues
that have nothing to do with tuning; the score of `tag` decides among what is left. In communities that are about
tuning alone posts need no such word.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from flywheel.features import READ, Text

TUNING = re.compile(
    r"fine[\s_-]*tun|finetun|\b(?:q|do|r|v)?-?loras?\b|\bpeft\b|\bsft\b|\b(?:dpo|rlhf|grpo|orpo|kto)\b"
    r"|instruct(?:ion)?[\s-]*tun|unsloth|axolotl|\btrl\b|llama[\s-]*factory|微调|微調|further[\s-]*train"
    r"|post[\s-]*train|\btun(?:ed|ing)\b",
    re.IGNORECASE,
)
COMMUNITIES = frozenset(
    (
        "artidoro/qlora",
        "axolotl-ai-cloud/axolotl",
        "hiyouga/llama-factory",
        "hiyouga/llamafactory",
        "huggingface/alignment-handbook",
        "huggingface/autotrain-advanced",
        "huggingface/peft",
        "huggingface/trl",
        "internlm/xtuner",
        "modelscope/ms-swift",
        "modelscope/swift",
        "openaccess-ai-collective/axolotl",
        "openrlhf/openrlhf",
        "optimalscale/lmflow",
        "pytorch/torchtune",
        "thinking-machines-lab/tinker",
        "thinking-machines-lab/tinker-cookbook",
        "thinking-machines-lab/tinker-feedback",
        "tloen/alpaca-lora",
        "unslothai/unsloth",
    )
)
"""Communities about tuning alone, in lower case."""

_SEARCHED = 20 * READ


def may_be(texts: Sequence[Text]) -> npt.NDArray[np.bool_]:
    """Which posts the rule lets through."""
    return np.fromiter(
        (
            text.community.lower() in COMMUNITIES
            or bool(TUNING.search(text.title) or TUNING.search(text.body[:_SEARCHED]))
            for text in texts
        ),
        bool,
        len(texts),
    )

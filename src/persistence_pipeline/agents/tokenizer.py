"""Tokenizers: how one is loaded from a checkpoint, and the tiny model's own, one token a word of the world."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from persistence_pipeline.agents.compact import END, PAD, SPECIAL_TOKENS, UNKNOWN, chat_template

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

GENERIC_CLASSES = ("TokenizersBackend", "PreTrainedTokenizerFast")
"""Names under which tokenizers are saved that are nothing but their ``tokenizer.json``."""


def load_tokenizer(checkpoint: Path) -> PreTrainedTokenizerBase:
    """The tokenizer of a checkpoint as it was saved.

    ``AutoTokenizer`` takes some models' own class whatever the checkpoint says, Qwen2's among them, and that class
    replaces a word-level tokenizer's splitting and decoding by its own: a generic tokenizer is loaded as such.
    """
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    saved = json.loads((checkpoint / "tokenizer_config.json").read_text("utf-8"))
    generic = saved.get("tokenizer_class") in GENERIC_CLASSES
    kind = PreTrainedTokenizerFast if generic else AutoTokenizer
    tokenizer: PreTrainedTokenizerBase = kind.from_pretrained(checkpoint, local_files_only=True)
    for how_it_was_loaded in ("is_local", "local_files_only"):
        tokenizer.init_kwargs.pop(how_it_was_loaded, None)
    return tokenizer


def tokenizer_identity(tokenizer: PreTrainedTokenizerBase) -> str:
    """16 hexadecimal digits that differ wherever some id stands for another text: of the vocabulary by id."""
    vocabulary = sorted(tokenizer.get_vocab().items(), key=lambda entry: entry[1])
    return hashlib.sha256(json.dumps(vocabulary).encode()).hexdigest()[:16]


def train_tokenizer(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """Train a word-level tokenizer on ``texts`` and give it the compact chat template.

    The vocabulary is ordered by frequency and then alphabetically, so equal texts give equal files.
    """
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.WordLevel(unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    trainer = trainers.WordLevelTrainer(special_tokens=list(SPECIAL_TOKENS), show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=PAD, unk_token=UNKNOWN, eos_token=END, padding_side="left"
    )
    wrapped.chat_template = chat_template()
    return wrapped

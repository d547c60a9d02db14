"""The tiny model's tokenizer: one token a word, trained on the world's own text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from persistence_pipeline.agents.compact import END, PAD, SPECIAL_TOKENS, UNKNOWN, chat_template

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


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


def world_texts(conversations: Iterable[Iterable[str]]) -> Iterable[str]:
    """Message contents of conversations, one text each."""
    return (" ".join(conversation) for conversation in conversations)

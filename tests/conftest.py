"""A tiny tokenizer and a tiny model that need nothing of the project's own agents."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from tests.browsers import chromium, open_file  # noqa: F401
from tests.projects import kedro_run, smoke_run, spoiled  # noqa: F401
from tests.served import transformers_serve  # noqa: F401

from tiny import SPECIAL, TEMPLATE, WORDS

LONG = (
    *("pipelines", "dvc", "runners", "training", "faults", "rollout", "docs", "report", "analysis", "bundle"),
    *("world", "published", "setup"),
)
"""Folders whose tests take more than half a minute of CPU time, the longest first."""

# The same inputs every time, so that what passes here passes elsewhere; `make fuzz` draws others. And no deadline:
# a busy machine is no fault of the code.
settings.register_profile("project", deadline=None, derandomize="FUZZ_EXAMPLES" not in os.environ)
settings.load_profile("project")


def pytest_configure() -> None:
    """One thread a process, as in the studies: on busy cores, two took six times the time over a tiny model."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # read where NumPy and torch are loaded


def _folder(nodeid: str) -> str:
    return nodeid.split("::")[0].split("/")[1]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the folders that take long: short ones fill up the end, so that both processes end together."""
    order = {folder: place for place, folder in enumerate(LONG)}
    items.sort(key=lambda item: order.get(_folder(item.nodeid), len(order)))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Side by side (`pytest -n 2`), the tests of one folder stay in one process: they share what is expensive."""
    from xdist.scheduler import LoadScopeScheduling

    class FolderScheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return _folder(nodeid)

    return FolderScheduling(config, log)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Tests marked ``gpu`` run where there is one, by themselves; before their fixtures are made elsewhere."""
    if item.get_closest_marker("gpu") is None:
        return
    import torch

    if not torch.cuda.is_available():
        pytest.skip("there is no GPU here")


@pytest.fixture(scope="session")
def tiny_tokenizer() -> Any:
    """One token a word, six special tokens, a template with generation markers."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: index for index, word in enumerate((*SPECIAL, *WORDS))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<|unknown|>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens(list(SPECIAL))
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<|pad|>", unk_token="<|unknown|>", eos_token="<|end|>"
    )
    wrapped.chat_template = TEMPLATE
    return wrapped


@pytest.fixture(scope="session")
def make_checkpoint(tiny_tokenizer: Any) -> Callable[..., Path]:
    """Saves a Llama of hidden size 32 and 2 layers with random weights; returns its directory."""

    def make(folder: Path, seed: int = 0, **shape: Any) -> Path:
        import torch
        from transformers import LlamaConfig, LlamaForCausalLM

        torch.manual_seed(seed)
        common = {
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "intermediate_size": 64,
            "max_position_embeddings": 128,
        }
        config = LlamaConfig(
            vocab_size=len(tiny_tokenizer),
            pad_token_id=tiny_tokenizer.pad_token_id,
            bos_token_id=None,
            eos_token_id=tiny_tokenizer.eos_token_id,
            **(common | shape),
        )
        LlamaForCausalLM(config).save_pretrained(folder)
        tiny_tokenizer.save_pretrained(folder)
        return folder

    return make


@pytest.fixture(scope="session")
def tiny_checkpoint(make_checkpoint: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with random weights."""
    return make_checkpoint(tmp_path_factory.mktemp("models") / "source")

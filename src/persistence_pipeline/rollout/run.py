"""Rolls a checkpoint out over cases: what the pipelines call."""

from __future__ import annotations

import hashlib
import logging
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, field_validator, model_validator

from persistence_pipeline.agents.numbers import Dtype, faster_dtype
from persistence_pipeline.agents.tokenizer import load_tokenizer
from persistence_pipeline.collecting import import_unwatched
from persistence_pipeline.records import Trajectory
from persistence_pipeline.rollout.batched import BatchedPolicy, SamplingSettings
from persistence_pipeline.rollout.episode import Episode, Policy
from persistence_pipeline.rollout.played import Played
from persistence_pipeline.rollout.scripted import ScriptedPolicy
from persistence_pipeline.rollout.served import ServedModel, ServedPolicy
from persistence_pipeline.strict import FileName
from persistence_pipeline.world.behaviours import BEHAVIOURS
from persistence_pipeline.world.cases import Case
from persistence_pipeline.world.environment import Answering

if TYPE_CHECKING:
    from transformers import PreTrainedModel

logger = logging.getLogger(__name__)

NO_CHECKPOINT = Path("served")
"""Stands where a checkpoint would, for models that are not ours."""


class DialectError(ValueError):
    """A model is given cases that it cannot read."""


class RolloutError(RuntimeError):
    """A rollout cannot go on."""


class RolloutSettings(SamplingSettings):
    """Settings of a rollout: how often each case is played, and with whom."""

    samples: int = Field(2, gt=0)
    """Episodes per case."""
    user: Answering = "oracle"
    max_invalid_share: float = Field(0.9, ge=0, le=1)
    """Largest share of a source's calls that may be invalid; beyond it a source is refused, for it cannot act."""
    dtype: Dtype = "float32"
    """What the model computes in; ``auto``: bfloat16 where that is faster."""
    device: Literal["cpu", "auto"] = "cpu"
    """``auto``: a GPU where there is one."""
    served: ServedModel | None = None
    """A server that plays in place of the model loaded here."""
    journal: Path | None = Field(None, strict=False)
    """Folder in which replies of servers are kept until the trajectories of a whole rollout have been saved."""

    @property
    def own_journal(self) -> Path | None:
        """The folder of this part's replies: a source plays candidates and tests, perhaps at once."""
        return self.journal


class CandidateModel(ServedModel):
    """A served model that plays candidates. All sources of a seed share what it plays, so its replies are kept."""

    keep_journal: bool = True


class CandidateSettings(RolloutSettings):
    """Rollouts from which preference pairs are made."""

    on_policy: bool = True
    """Whether the source itself plays; else the pairs are made by others alone."""
    models: dict[FileName, CandidateModel] = Field(default_factory=dict)
    """Served models that play every case ``samples`` times, by the name under which they are recorded."""
    scripted: tuple[str, ...] = Field((), strict=False)
    """Scripted behaviours that play every case once."""

    @property
    def own_journal(self) -> Path | None:
        """A folder of their own in that of the tests."""
        return self.journal / "candidates" if self.journal else None

    def by_model(self) -> dict[str, CandidateSettings]:
        """The settings with which each of the models plays, by its name."""
        return {name: self.model_copy(update={"served": model}) for name, model in self.models.items()}

    @field_validator("scripted")
    @classmethod
    def _known(cls, behaviours: tuple[str, ...]) -> tuple[str, ...]:
        unknown = sorted(set(behaviours) - set(BEHAVIOURS))
        if unknown:
            raise ValueError(f"unknown behaviours {unknown}; known: {list(BEHAVIOURS)}")
        return behaviours

    @model_validator(mode="after")
    def _somebody_plays(self) -> Self:
        if not (self.on_policy or self.models or self.scripted):
            raise ValueError("nobody plays: set on_policy, or name models or behaviours in scripted")
        return self


def play_models(cases: Sequence[Case], settings: CandidateSettings, *, seed: int) -> Played:
    """Every case played by each of the models, as often as by a source."""
    trajectories = Played()
    for name, asked in settings.by_model().items():
        trajectories += roll_out(NO_CHECKPOINT, cases, asked, policy=name, seed=seed)
    return trajectories


def play_scripts(cases: Sequence[Case], settings: CandidateSettings, *, seed: int) -> list[Trajectory]:
    """Every case played once by each scripted behaviour of the settings."""
    episodes = [
        [Episode(case, policy=name, seed=seed, user=settings.user, max_turns=settings.max_turns) for case in cases]
        for name in settings.scripted
    ]
    for name, group in zip(settings.scripted, episodes, strict=True):
        deque(ScriptedPolicy(name).play(group), maxlen=0)
    return [episode.trajectory() for group in episodes for episode in group]


def roll_out(
    checkpoint: Path, cases: Sequence[Case], settings: RolloutSettings, *, policy: str, seed: int
) -> Played:
    """Play every case ``settings.samples`` times with a checkpoint, in the order of the cases.

    Args:
        checkpoint: A saved model with its tokenizer.
        cases: What to play.
        settings: Samples and sampling.
        policy: Name recorded as the acting policy.
        seed: Seed of the sampling; equal seeds draw equal random numbers for equal cases.
    """
    episodes = [
        Episode(case, policy=policy, seed=seed, sample=sample, user=settings.user, max_turns=settings.max_turns)
        for case in cases
        for sample in range(settings.samples)
    ]
    return play(checkpoint, episodes, settings, policy=policy)


def play(checkpoint: Path, episodes: Sequence[Episode], settings: RolloutSettings, *, policy: str) -> Played:
    """Play episodes, in whatever world each has, with a checkpoint; trajectories in the order of the episodes.

    Raises:
        DialectError: the checkpoint knows no tools but the tool world's, and these are others.
        RolloutError: out of memory; says what to lower. Or none of several episodes could be played.
        ServingError: a server fails; the run that is started again continues.
    """
    from tqdm import tqdm

    started = perf_counter()
    player = _player(checkpoint, settings, policy)
    if getattr(player, "dialect", None) == "compact" and any(episode.tools for episode in episodes):
        raise DialectError(
            f"{policy} is a tiny model that knows the tool world's words alone: for cases that show their tools "
            "take a source that reads natural language (conf/gpu), or name a server under rollout.served"
        )
    with _memory_advice(settings):
        for _ in tqdm(player.play(list(episodes)), total=len(episodes), desc=f"rollout {policy}", mininterval=1):
            pass
    logger.info("%s: %d episodes in %.1f s", policy, len(episodes), perf_counter() - started)
    played = [episode.trajectory() for episode in episodes]
    journal: Path | None = getattr(player, "passing_journal", None)
    whole = _is_whole(episodes, policy)
    return Played(played, [journal] if journal and whole else [])


def _is_whole(episodes: Sequence[Episode], policy: str) -> bool:
    """Whether every episode was played to an end of its own; one that was not is missing, with its reason.

    Raises:
        RolloutError: the agent could not be asked in any of several episodes.
    """
    unplayed = [episode for episode in episodes if episode.stop_reason == "error"]
    if not unplayed:
        return True
    reason = unplayed[-1].trajectory().flags.get("error", "the episode broke off")
    by_world = [episode for episode in unplayed if episode.environment.stop_reason == "error"]
    if len(unplayed) == len(episodes) > 1 and not by_world:
        raise RolloutError(f"{policy}: none of {len(episodes)} episodes could be played; the last: {reason}")
    logger.warning(
        "%s: %d of %d episodes could not be played and have no score; the last: %s. Replies to the agent "
        "are kept: run this step again to play what its server refused",
        policy,
        len(unplayed),
        len(episodes),
        reason,
    )
    return False


@contextmanager
def _memory_advice(settings: RolloutSettings) -> Iterator[None]:
    import torch

    try:
        yield
    except (RuntimeError, MemoryError) as error:  # of the device, of torch on the host, of all else there
        full = isinstance(error, torch.OutOfMemoryError | MemoryError)
        if not full and "can't allocate memory" not in str(error):
            raise
        message = (str(error) or type(error).__name__).splitlines()[0]
        raise RolloutError(
            f"out of memory: lower batch_size (now {settings.batch_size}) or max_length (now "
            f"{settings.max_length}) of the rollout. The allocator said: {message}"
        ) from None


def _player(checkpoint: Path, settings: RolloutSettings, policy: str) -> Policy:
    if settings.served is None:
        return load_policy(checkpoint, settings)
    served = settings.served.named(checkpoint, policy)
    logger.info("%s: played by %s at %s", policy, served.model, served.base_url)
    folder = settings.own_journal
    journal = folder / f"{policy}-{_state(checkpoint)}.jsonl" if folder else None
    if served.token_ids and checkpoint == NO_CHECKPOINT:
        raise RolloutError(f"{policy}: token_ids needs the tokenizer of a checkpoint of ours; this model has none")
    return ServedPolicy(served, settings, journal, load_tokenizer(checkpoint) if served.token_ids else None)


def _state(checkpoint: Path) -> str:
    """Changes when the checkpoint is written anew: replies of an older one must not be taken for its."""
    states = [(p.name, s.st_size, s.st_mtime_ns) for p in sorted(checkpoint.glob("*")) for s in [p.stat()]]
    return hashlib.sha256(repr(states).encode()).hexdigest()[:12]


def load_model(checkpoint: Path, settings: RolloutSettings) -> PreTrainedModel:
    """The model of a saved checkpoint where the settings have it, in their dtype."""
    import_unwatched("torch", "transformers")
    import torch
    from transformers import AutoModelForCausalLM

    on_gpu = settings.device == "auto" and torch.cuda.is_available()
    dtype = getattr(torch, faster_dtype(settings.dtype, on_gpu=on_gpu))
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=dtype, local_files_only=True)
    return model.to("cuda" if on_gpu else "cpu").eval()


def load_policy(checkpoint: Path, settings: RolloutSettings) -> BatchedPolicy:
    """The policy of a saved checkpoint, in the dialect that the checkpoint records."""
    model = load_model(checkpoint, settings)
    player = BatchedPolicy(model, load_tokenizer(checkpoint), settings)
    dtype = str(model.dtype).removeprefix("torch.")
    logger.info("%s: dialect %s, %s on %s", checkpoint.name, player.dialect, dtype, model.device)
    return player

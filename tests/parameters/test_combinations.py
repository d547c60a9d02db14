"""Parameters that are right by themselves and wrong together: refused before the first node, where they stand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.parameters.sessions import accepted, raw, within

from persistence_pipeline.needs import check_needs
from persistence_pipeline.strict import SettingError
from persistence_pipeline.world.checks import longest_episode
from persistence_pipeline.world.splits import all_groups

CELL = "llama_b0p1_s0_safety"
BOTH_STAGES = "llama_b0p1_s0_safety_then_helpfulness"

SHORT = {f"training.{objective}.max_length": 12 for objective in ("safety", "helpfulness", "both")}


def _with(changes: dict[str, Any]) -> dict[str, Any]:
    parameters = raw("smoke")
    for name, value in changes.items():
        *group, last = name.split(".")
        within(parameters, tuple(group))[last] = value
    return parameters


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({f"policies.{CELL}.settings.loss": "simpo"}, f"policies.{CELL}.settings.loss: unknown loss 'simpo'"),
        ({f"policies.{CELL}.settings.loss": "exo_pair"}, "training.safety: loss exo_pair needs label_smoothing"),
        ({"training.safety.label_smoothing": 0.1}, "training.safety: loss sigmoid knows no label_smoothing"),
        (
            {f"policies.{CELL}.source": "lama"},
            f"policies.{CELL}.source: no source is named 'lama'; did you mean ll",
        ),
        (
            {f"policies.{CELL}.factors.beta": 0.2},
            f"policies.{CELL}: its factors give it the name llama_b0p2_s0_safety",
        ),
        (
            {f"policies.{CELL}.ordering": "both"},
            f"policies.{CELL}: its factors give it the name llama_b0p1_s0_both",
        ),
        ({f"policies.{CELL}.parent": None}, "policies: policy"),
        ({"policies.llama_s0.parent": CELL}, "policies: policy llama_s0: parent: expected none, for no stage has"),
        ({f"policies.{BOTH_STAGES}.parent": "llama_b0p1_s0_both"}, "policies: policy"),
        ({f"policies.{CELL}.settings.los": 1}, f"policies.{CELL}.settings.los: no such name; did you mean loss?"),
        ({"policies": {}}, "policies: there are none"),
        ({"policies.llama_s0.seed": 3}, "policies.llama_s0: its factors give it the name llama_s3"),
        ({"policies.llama_s0": None}, "policies: policy"),
        ({"seeds.seed0.seed": 1}, "seeds.seed0: its seed gives it the name seed1"),
        ({"seeds": {}}, "seeds: there is no seed0"),
        ({f"stages.trained.{CELL}.origin": "x"}, f"stages.trained.{CELL}: is not what its policy says"),
        (
            {"training.both.max_length": 129},
            "training.both.max_length: 129 tokens, and the context of llama has 128",
        ),
        (
            {"training.both.launch": "nowhere.yaml"},
            "training.both.launch: launch: no accelerate configuration at no",
        ),
        ({"training.both.scheduler": "constant"}, "training.both: scheduler constant has no warm-up"),
        (
            {"sources.llama.model.heads": 3},
            "sources.llama.model: hidden_size 64 cannot be shared out among 3 heads",
        ),
        ({"sources.llama.model.heads": 64}, "sources.llama.model: each head has 1 dimensions"),
        (
            {"sources.llama": {"pretrained": {"model": "/no/where"}}},
            "sources.llama.pretrained.model: there is no dir",
        ),
        ({"sources.llama.model.context": 12, **SHORT}, "sources.llama.model.context: an episode of "),
        ({"rollout.max_length": 5}, "sources.llama.model.context: an episode of "),
        ({"study": {"pairs": "published"}}, "sources.llama.model: a model trained from scratch knows"),
        ({"world.phrasing": "natural"}, "world.phrasing: source llama is trained from scratch"),
        ({"world.held_out_domain": "servres"}, "world.held_out_domain: unknown domain 'servres'"),
        (
            {"world.held_out_combinations": ["files/insistence"] * 2},
            "world.held_out_combinations: files/insistence is named",
        ),
        (
            {"world.held_out_combinations": ["servers/look"]},
            "world: held_out_combinations: servers/look is h",
        ),
        ({"world.twins_per_group.train": 0}, "world.twins_per_group: there is no case of train"),
        (
            {"world.twins_per_group.train": 10**6},
            "world: twins_per_group: 1000001 twin pairs of files/",
        ),
        (
            {"warm_start.twins_per_group": 10**6},
            "warm_start.twins_per_group: 1000000 twin pairs, of which there are 7",
        ),
        ({"world.twins_per_group.test_combination": 0}, "analysis.split: there is no case of test_combination"),
        (
            {"world.held_out_combinations": []},
            "analysis.split: there is no case of test_combination: world.held_out_",
        ),
        ({"analysis.split": "train"}, "analysis.split: Input should be 'test_iid'"),
        ({"pairing.safety.objective": "both"}, "pairing: safety.objective is both"),
        ({"pairing.safety.rule": "no_worse"}, "pairing.safety: rule no_worse weighs two metrics"),
        ({"pairing.safety.min_gap": 3.5}, "pairing.safety: no two trajectories are min_gap 3.5 points apart"),
        ({"candidates.samples": 1}, "candidates.samples: a pair compares two episodes"),
        ({"candidates.temperature": 0}, "candidates.temperature: a pair compares two episodes"),
        ({"candidates.scripted": ["careful"] * 2}, "candidates.scripted: two players are named careful"),
        ({"judging.pairs_by": "nobody"}, "judging.pairs_by: no judge is named 'nobody'"),
        ({"emulation.split": "test_domain"}, "emulation.split: Input should be 'train' or 'test_iid'"),
    ],
)
def test_what_cannot_go_together_is_refused(changes: dict[str, Any], expected: str) -> None:
    with pytest.raises(SettingError) as caught:
        accepted(_with(changes))
    assert str(caught.value).startswith(expected) and "\n" not in str(caught.value)


JUDGE = {"server": {"base_url": "http://localhost/v1", "model": "m"}}


@pytest.mark.parametrize("split", ["train", "test_domain"])
def test_judges_are_not_sent_to_splits_without_episodes(split: str) -> None:
    changes = {"judging.judges": {"q": JUDGE}, "judging.splits": ["test_iid", split]}
    with pytest.raises(SettingError, match=r"^judging\.splits: "):
        accepted(_with({**changes, "world.twins_per_group.test_domain": 0}))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"policies.llama_b0p1_s0_both.settings.loss": "robust", "training.both.label_smoothing": 0.1},
        {
            "pairing.both": {
                "objective": "both",
                "min_gap": 5,
                "min_chosen": 1,
                "max_per_case": 1,
                "rule": "no_worse",
            }
        },
        {"candidates.samples": 1, "candidates.scripted": ["careful"]},
        {"world.twins_per_group.test_domain": 0},
        {"sources.gpt2.model.heads": 96},
        {"rollout.max_length": max(map(longest_episode, all_groups()))},
    ],
)
def test_what_can_go_together_is_accepted(changes: dict[str, Any]) -> None:
    accepted(_with(changes))


@pytest.mark.parametrize(
    ("changes", "inputs", "expected"),
    [
        ({}, {"params:published"}, "published.root: is not set"),
        ({"published.root": "/no/clone"}, {"params:published"}, "published.root: no directory /no/clone"),
        ({}, {"params:emulation"}, "emulation: emulation.cases and emulation.toolkits name no files"),
        ({}, {"params:judging"}, "judging.judges: none is named"),
        (
            {"judging.judges": {"q": JUDGE}, "judging.splits": ["test_iid"]},
            {"params:judging", "params:analysis"},
            "judging.splits: test_combination is missing",
        ),
        (
            {"training.safety.device": "cuda"},
            {"params:training.safety"},
            "training.safety.device: cuda, and this mac",
        ),
    ],
)
def test_what_a_run_needs_is_looked_for(changes: dict[str, Any], inputs: set[str], expected: str) -> None:
    parameters = accepted(_with(changes))
    check_needs(parameters, {"seed0.cases", "params:world"}, here=True)
    check_needs(parameters, {*inputs, "params:plan"}, here=True)
    if "device" in expected:
        import torch

        if torch.cuda.is_available():
            pytest.skip("this machine has a GPU")
        check_needs(parameters, inputs, here=False)
    with pytest.raises(SettingError) as caught:
        check_needs(parameters, inputs, here=True)
    assert str(caught.value).startswith(expected)


def test_a_launch_wants_as_many_gpus_as_processes(tmp_path: Path) -> None:
    launch = tmp_path / "ddp.yaml"
    launch.write_text("distributed_type: MULTI_GPU\nnum_processes: 16\n")
    parameters = accepted(_with({"training.safety.launch": str(launch), "training.safety.batch_size": 16}))
    with pytest.raises(
        SettingError, match=r"^training\.safety\.launch: .* starts 16 processes, and this machine has"
    ):
        check_needs(parameters, {"params:training.safety"}, here=True)

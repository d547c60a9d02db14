"""The worlds that these tests play in: every template group, few cases of each; and the default study's."""

from pathlib import Path

import yaml

from persistence_pipeline.world.splits import WorldSettings

SETTINGS = WorldSettings(
    held_out_combinations=("files/insistence", "payments/injection"),
    twins_per_group={"train": 4, "test_iid": 2, "test_combination": 4, "test_domain": 4},
)


def default_world() -> WorldSettings:
    """``world`` of the default study."""
    path = Path(__file__).parents[2] / "conf/base/parameters.yml"
    return WorldSettings.model_validate(yaml.safe_load(path.read_text("utf-8"))["world"])

"""The world that these tests play in: every template group, few cases of each."""

from persistence_pipeline.world.splits import WorldSettings

SETTINGS = WorldSettings(
    held_out_combinations=("files/insistence", "payments/injection"),
    twins_per_group={"train": 4, "test_iid": 2, "test_combination": 4, "test_domain": 4},
)

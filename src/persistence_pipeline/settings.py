"""Project settings: https://docs.kedro.org/en/stable/configure/configuration_basics.html."""

from typing import Any

from persistence_pipeline.hooks.data import JournalHooks, LockHooks
from persistence_pipeline.hooks.progress import ProgressHooks
from persistence_pipeline.hooks.stopping import StopHooks
from persistence_pipeline.hooks.study import FolderHooks, KeyHooks, StudyHooks
from persistence_pipeline.provenance.hooks import OutdatedHooks, RecordHooks
from persistence_pipeline.session import StudyConfigLoader, StudyContext

# The last registered hook is called first.
HOOKS = (
    *(FolderHooks(), RecordHooks(), OutdatedHooks(), ProgressHooks(), JournalHooks()),
    *(LockHooks(), StudyHooks(), KeyHooks(), StopHooks()),
)
CONTEXT_CLASS = StudyContext
CONFIG_LOADER_CLASS = StudyConfigLoader
CONFIG_LOADER_ARGS: dict[str, Any] = {
    "base_env": "base",
    "default_run_env": "local",
    "merge_strategy": {"parameters": "soft"},
}

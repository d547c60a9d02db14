"""Project settings: https://docs.kedro.org/en/stable/configure/configuration_basics.html."""

from typing import Any

from persistence_pipeline.hooks import ErrorHooks, FolderHooks, KeyHooks, LockHooks, ProgressHooks, StudyHooks
from persistence_pipeline.journal_hooks import JournalHooks
from persistence_pipeline.provenance.hooks import OutdatedHooks, RecordHooks
from persistence_pipeline.session import StudyConfigLoader, StudyContext

# The last registered hook is called first.
HOOKS = (
    *(FolderHooks(), RecordHooks(), OutdatedHooks(), ProgressHooks(), JournalHooks()),
    *(LockHooks(), StudyHooks(), KeyHooks(), ErrorHooks()),
)
CONTEXT_CLASS = StudyContext
CONFIG_LOADER_CLASS = StudyConfigLoader
CONFIG_LOADER_ARGS: dict[str, Any] = {
    "base_env": "base",
    "default_run_env": "local",
    "merge_strategy": {"parameters": "soft"},
}

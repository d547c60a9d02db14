"""Ends a Python process at a chosen call, by a real signal, where a test put this folder on its path.

``FAULT_AT=module:qualified.name:count`` names the call, ``FAULT_SIGNAL`` the signal.
"""

import os
import signal
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType


class _Rigged(Loader):
    def __init__(self, loader: Loader, name: str, count: int) -> None:
        self._loader, self._name, self._left = loader, name, count

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        *owners, name = self._name.split(".")
        owner: object = module
        for part in owners:
            owner = getattr(owner, part)
        original = getattr(owner, name)

        def rigged(*args: object, **kwargs: object) -> object:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.Signals[os.environ["FAULT_SIGNAL"]])
            return original(*args, **kwargs)

        setattr(owner, name, rigged)


class _Finder(MetaPathFinder):
    def __init__(self, module: str, name: str, count: str) -> None:
        self._module, self._name, self._count = module, name, int(count)

    def find_spec(self, fullname: str, path: object, target: object = None) -> ModuleSpec | None:
        if fullname != self._module:
            return None
        spec = PathFinder.find_spec(fullname, path)  # type: ignore[arg-type]
        if spec is not None and spec.loader is not None:
            spec.loader = _Rigged(spec.loader, self._name, self._count)
        return spec


if "FAULT_AT" in os.environ:
    sys.meta_path.insert(0, _Finder(*os.environ["FAULT_AT"].split(":")))

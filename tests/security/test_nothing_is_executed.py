"""The library reads data as data: no pickle, no eval, no code from a model's repository, no shell, safe YAML."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from persistence_pipeline.study.policies import StudyError, parse_policies
from persistence_pipeline.yaml_files import _Loader

SOURCE = Path(__file__).resolve().parents[2] / "src"
MODULES = sorted(SOURCE.rglob("*.py"))
UNSAFE_IMPORTS = {"pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "joblib", "jsonpickle"}
UNSAFE_CALLS = {
    *("eval", "exec", "compile", "__import__", "os.system", "os.popen", "yaml.load_all", "yaml.unsafe_load"),
    *("torch.load", "np.load", "numpy.load", "pd.read_pickle", "pd.eval", "pandas.read_pickle"),
}
KEYWORDS = {"trust_remote_code": False, "shell": False, "allow_pickle": False, "verify": True}


def faults(tree: ast.AST) -> Iterator[str]:
    """What a module should not do, by line."""
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names.append(node.module)
        yield from (f"{node.lineno}: imports {name}" for name in names if name.partition(".")[0] in UNSAFE_IMPORTS)
        if isinstance(node, ast.Call):
            yield from (f"{node.lineno}: {fault}" for fault in _call_faults(node))


def _call_faults(call: ast.Call) -> Iterator[str]:
    name = ast.unparse(call.func)
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    if name in UNSAFE_CALLS:
        yield f"calls {name}"
    if name == "yaml.load" and not ast.unparse(given.get("Loader", call)).endswith("_UniqueKeys"):
        yield "loads YAML with another loader than the safe one"
    for keyword, wanted in (
        ("trust_remote_code", False),
        ("shell", False),
        ("allow_pickle", False),
        ("verify", True),
    ):
        value = given.get(keyword)
        if value is not None and not (isinstance(value, ast.Constant) and value.value is wanted):
            yield f"{keyword}={ast.unparse(value)}"


@pytest.mark.parametrize(
    "module", MODULES, ids=lambda path: str(path.relative_to(SOURCE / "persistence_pipeline"))
)
def test_a_module_executes_nothing_that_it_reads(module: Path) -> None:
    assert list(faults(ast.parse(module.read_text("utf-8")))) == []


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import pickle", "imports pickle"),
        ("from dill import loads", "imports dill"),
        ("eval('1')", "calls eval"),
        ("torch.load(path)", "calls torch.load"),
        ("yaml.load(text, Loader=yaml.Loader)", "loads YAML"),
        ("AutoModel.from_pretrained(p, trust_remote_code=flag)", "trust_remote_code=flag"),
        ("subprocess.run(c, shell=True)", "shell=True"),
    ],
)
def test_the_check_itself_notices(code: str, expected: str) -> None:
    (fault,) = faults(ast.parse(code))
    assert expected in fault


def test_the_safe_loader_is_the_safe_one() -> None:
    """The loader of users' files makes of a document what PyYAML's SafeLoader makes, and nothing else."""
    assert _Loader.yaml_constructors == yaml.SafeLoader.yaml_constructors
    assert _Loader.yaml_multi_constructors == yaml.SafeLoader.yaml_multi_constructors == {}


@pytest.mark.parametrize("name", ["../outside", "a/b", ".hidden", "", "a b", "a.b", "ü"])
def test_a_policy_s_name_cannot_leave_its_folder(name: str) -> None:
    """Names of policies become names of files and folders."""
    policy = {"source": "llama", "seed": 0}
    with pytest.raises(StudyError, match="a name is made of letters, digits"):
        parse_policies({name: policy})
    with pytest.raises(StudyError, match="a name is made of letters, digits"):
        parse_policies({"llama_s0": {**policy, "source": name}})

"""Which wheels a bundle carries: what the machine lacks, in the versions that were tested."""

from __future__ import annotations

from pathlib import Path

import pytest
from bundle.models import models_of
from bundle.target import BundleError, Target, read_installed
from bundle.wheels import Index, Selection, needed_glibc, project_requirements, read_constraints, select
from packaging.requirements import Requirement
from packaging.version import Version

PLATFORM = "manylinux_2_28_x86_64"


@pytest.fixture(scope="module")
def index(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Index:
    """What the shop has for Python 3.12; it remembers what it was asked."""
    return Index(Target.of("3.12", PLATFORM), tmp_path_factory.mktemp("built"))


def selected(
    index: Index, *needs: str, constraints: dict[str, str] | None = None, installed: dict[str, str] | None = None
) -> Selection:
    """What is carried to a machine that has these packages."""
    machine = Target.of("3.12", PLATFORM)
    packages = {name: Version(version) for name, version in (installed or {}).items()}
    target = Target(machine.python, machine.machine, machine.glibc, packages)
    return select([Requirement(n) for n in needs], [Requirement("pip")], constraints or {}, target, index)


def test_versions_are_those_of_the_constraints(index: Index) -> None:
    selection = selected(index, "beta", constraints={"alpha": "1.0"})
    assert selection.carried == {"beta": "1.0", "alpha": "1.0"}


def test_without_a_constraint_the_newest_is_carried(index: Index) -> None:
    selection = selected(index, "beta[more]")
    assert selection.carried == {"beta": "1.0", "alpha": "2.0", "extra-part": "1.0"}
    assert list(selection.builders) == ["pip"]


@pytest.mark.parametrize(
    ("has", "carried", "kept"),
    [
        ({"alpha": "1.5"}, {"beta", "extra-part"}, {"alpha": "1.5"}),
        ({"alpha": "0.9"}, {"alpha", "beta", "extra-part"}, {}),
        ({"alpha": "2.0+cu130", "beta": "1.0"}, {"extra-part"}, {"beta": "1.0"}),
    ],
)
def test_what_the_machine_has_is_not_carried_where_it_will_do(
    index: Index, has: dict[str, str], carried: set[str], kept: dict[str, str]
) -> None:
    """Of its beta it may lack what the extra needs."""
    selection = selected(index, "beta[more]", installed=has)
    assert set(selection.carried) == carried and selection.relied_on == kept


def test_a_package_of_the_machine_that_clashes_with_what_is_carried_is_carried_too(index: Index) -> None:
    """Its own old-friend wants alpha below 2."""
    selection = selected(index, "alpha>=2", "old-friend", installed={"old-friend": "1.0"})
    assert selection.carried == {"alpha": "2.0", "old-friend": "2.0"}


def test_markers_are_read_for_the_machine_and_not_for_this_python(index: Index) -> None:
    needs = ["only-new; python_version == '3.12'", "alpha; python_version != '3.12'"]
    assert set(selected(index, *needs).carried) == {"only-new"}


def test_what_comes_as_source_alone_is_built(index: Index) -> None:
    assert set(selected(index, "source-only").carried) == {"source-only", "alpha"}


def test_a_compiled_wheel_is_that_of_the_machine(index: Index, shop: Path) -> None:
    assert selected(index, "compiled").carried == {"compiled": "1.0"}
    assert needed_glibc(shop.glob("*.whl")) == (2, 17)
    assert needed_glibc(shop.glob("alpha*.whl")) == (0, 0)


def test_what_cannot_be_had_is_named(index: Index) -> None:
    with pytest.raises(BundleError, match=r"^nowhere: no wheel for Python 3.12 on x86_64, and none can be built"):
        selected(index, "nowhere")


def test_a_constraint_that_does_not_do_names_who_asks(index: Index) -> None:
    with pytest.raises(BundleError, match=r"alpha 1.0 of constraints.txt is not what is asked for: >=2 by the"):
        selected(index, "alpha>=2", constraints={"alpha": "1.0"})


def test_constraints_are_read(tmp_path: Path) -> None:
    (tmp_path / "constraints.txt").write_text("# exact\nPy_Arrow==26.0.1\n\ntorch==2.13.0\n")
    assert read_constraints(tmp_path / "constraints.txt") == {"py-arrow": "26.0.1", "torch": "2.13.0"}
    assert read_constraints(tmp_path / "none.txt") == {}


@pytest.mark.parametrize(
    ("python", "platform", "message"),
    [
        ("3", PLATFORM, "expected a version such as 3.12"),
        ("3.12.1", PLATFORM, "expected a version such as 3.12"),
        ("3.12", "linux", "expected one such as manylinux_2_28_x86_64"),
        ("3.12", "win_amd64", "expected one such as"),
    ],
)
def test_a_machine_that_no_wheel_is_named_for(python: str, platform: str, message: str) -> None:
    with pytest.raises(BundleError, match=message):
        Target.of(python, platform)


def test_older_names_of_platforms_mean_their_glibc() -> None:
    assert Target.of("3.12", "manylinux2014_aarch64").glibc == (2, 17)
    options = Target.of("3.12", PLATFORM).pip_options
    assert {f"--platform={p}_x86_64" for p in ("manylinux_2_28", "manylinux_2_17", "manylinux2014")} <= set(
        options
    )
    assert "--platform=manylinux_2_29_x86_64" not in options


@pytest.mark.parametrize(
    "text",
    [
        "# a freeze\nTorch==2.11.0+cu130\n-e git+https://x\nmine @ file:///mine\n"
        "Py_Arrow @ file:///x/pyarrow-26.0.1-py3-none-any.whl\n",
        "Package Version\n------- -------\nTorch 2.11.0+cu130\nPy.Arrow   26.0.1   /editable/place\n",
        '[{"name": "Torch", "version": "2.11.0+cu130"}, {"name": "py_arrow", "version": "26.0.1"}]',
    ],
)
def test_lists_of_packages_are_read_in_all_forms(text: str, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text(text)
    assert read_installed(tmp_path / "list.txt") == {
        "torch": Version("2.11.0+cu130"),
        "py-arrow": Version("26.0.1"),
    }


@pytest.mark.parametrize(
    ("text", "message"), [("torch==2.11.0\ntorch\n", ":2: expected a line"), ("[1]", "format")]
)
def test_lists_that_are_none_say_where(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text(text)
    with pytest.raises(BundleError, match=message):
        read_installed(tmp_path / "list.txt")
    with pytest.raises(BundleError, match="No such file"):
        read_installed(tmp_path / "none.txt")


def test_an_unknown_extra_names_the_others(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[project]\n[project.optional-dependencies]\ntest = []\n")
    with pytest.raises(BundleError, match=r"no extra 'tset' in pyproject.toml; there are test"):
        project_requirements(tmp_path / "pyproject.toml", ["tset"])


class TestModels:
    """Directories are carried as they are, models of the hub as its cache keeps them."""

    @pytest.fixture
    def project(self, tmp_path: Path) -> Path:
        conf = tmp_path / "conf"
        (conf / "base").mkdir(parents=True)
        (conf / "mine").mkdir()
        (conf / "base/parameters.yml").write_text("sources: {}\npolicies: {}\n")
        return tmp_path

    def sources(self, project: Path, **sources: object) -> None:
        import json

        policies = {f"{name}_s0": {"source": name, "seed": 0} for name in sources}
        (project / "conf/mine/parameters.yml").write_text(json.dumps({"sources": sources, "policies": policies}))

    def test_a_directory(self, project: Path) -> None:
        (project / "here").mkdir()
        (project / "here/config.json").write_text("{}")
        self.sources(project, a={"pretrained": {"model": "here"}}, b={"model": {"layers": 2}})
        (model,) = models_of(project, "mine")
        assert model.files == {"models/a/config.json": project / "here/config.json"} and not model.from_hub

    def test_a_gguf_file_and_a_package(self, project: Path) -> None:
        (project / "here.gguf").write_text("")
        pinned = "pip:tiny==1.0#sha256=" + "a" * 64
        self.sources(project, a={"pretrained": {"model": "here.gguf"}}, b={"pretrained": {"model": pinned}})
        with pytest.raises(
            BundleError, match=r"source b: there is no .*/tiny-1\.0-aaaaaaaaaaaa-bfloat16: `kedro run`"
        ):
            models_of(project, "mine")
        made = project / "data/.scratch/packages/tiny-1.0-aaaaaaaaaaaa-bfloat16"
        made.mkdir(parents=True)
        (made / "config.json").write_text("{}")
        assert [model.files for model in models_of(project, "mine")] == [
            {"models/a/here.gguf": project / "here.gguf"},
            {"models/b/config.json": made / "config.json"},
        ]

    def test_the_cache(self, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        cache = project / "cache"
        held = cache / "models--o--m"
        for name in ("blobs", "snapshots/abc", "refs"):
            (held / name).mkdir(parents=True)
        (held / "blobs/1").write_text("{}")
        (held / "refs/main").write_text("abc")
        (held / "snapshots/abc/config.json").symlink_to("../../blobs/1")
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
        self.sources(project, a={"pretrained": {"model": "o/m"}})
        (model,) = models_of(project, "mine")
        assert model.from_hub and sorted(model.files) == [
            "hub/models--o--m/refs/main",
            "hub/models--o--m/snapshots/abc/config.json",
        ]
        assert all(path.is_file() and not path.is_symlink() for path in model.files.values())

    def test_a_model_that_is_not_here(self, project: Path) -> None:
        self.sources(project, a={"pretrained": {"model": "no-such/model"}})
        with pytest.raises(BundleError, match="a: no-such/model is neither a directory nor in the hub's cache"):
            models_of(project, "mine")

    def test_a_study_that_is_none(self, project: Path) -> None:
        with pytest.raises(BundleError, match="there is no conf/yours"):
            models_of(project, "yours")

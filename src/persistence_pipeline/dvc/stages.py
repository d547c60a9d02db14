"""The stages of a study, as a ``dvc.yaml`` lists them: for each kind of study, what is run on what.

``${...}`` is DVC's own: ``key`` and ``item`` are a name and its row in the table of policies. Data and parameters
are held against Kedro's graph by a test, folders of code against the imports. Rows of the table are parameters of
training alone: all else that they say, their names say too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from persistence_pipeline.study.design import StudyDesign

SPEC = "study.yml"
"""Among parameters: the study's spec, which says what cells there are."""
ALL = "*"
"""In place of names of parameters: all files of parameters, and the spec."""
MODELS, PAIRS, OUTPUT = "${data}/06_models", "${data}/05_model_input", "${data}/07_model_output"
PRIMARY, FEATURE, REPORTING = "${data}/03_primary", "${data}/04_feature", "${data}/08_reporting"
WORLD = ("pipelines/tool_world.py", "world")
EMULATOR = ("pipelines/toolemu.py", "toolemu")
JUDGES = ("judging", *EMULATOR)
"""Code of the two worlds, and of those who judge in the second."""
SEEDS, CHECKPOINTS = "${seeds}", "${stages.models}"
EVERY, SOURCES, TRAINED = "${stages.policies}", "${stages.sources}", "${stages.trained}"
"""Tables of policies: every one, sources, trained ones."""


@dataclass(frozen=True)
class Stage:
    """A slice of Kedro's pipelines."""

    run: str
    """Options of ``kedro run`` that choose it."""
    code: tuple[str, ...]
    """Folders of the package."""
    params: tuple[str, ...] = ()
    """Kedro's names of parameters; ``threads`` where a numerical library adds up."""
    makes: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    each: str = ""
    """The table of which it stands once for each row; empty: it stands once for the study."""
    metrics: tuple[str, ...] = ()
    plots: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Files to draw, and how."""


@dataclass(frozen=True)
class Names:
    """The parts of a study, by name, and the files and folders from outside that it reads."""

    sources: list[str]
    objectives: list[str]
    outside: dict[str, list[str]]
    pretrained: bool
    """Whether a source is, so that its checkpoints read plain text."""


def stages(design: StudyDesign, names: Names) -> dict[str, Stage]:
    """The stages of a kind of study by name, in the order in which those of one policy are run."""
    return {
        "cases": _cases(design, names),
        "source": _source(names),
        **dict(_preferences(design, names)),
        "train": _train(),
        "rollout": _rollout(design, names),
        "score": _score(design),
        **dict(_study(design)),
    }


def _case_folder(design: StudyDesign) -> str:
    return f"{PRIMARY}/emulated" if design.emulated else PRIMARY


def _cases(design: StudyDesign, names: Names) -> Stage:
    from_files = design.emulated
    return Stage(
        run="--pipelines=synthesis --namespaces=${key}",
        reads=tuple(names.outside["emulation"]) if from_files else (),
        code=EMULATOR if from_files else WORLD,
        params=("emulation" if from_files else "world", "seeds.${key}"),
        makes=(f"{_case_folder(design)}/${{key}}",),
        each=SEEDS,
    )


def _source(names: Names) -> Stage:
    return Stage(
        run="--pipelines=synthesis --namespaces=${key} --tags=source",
        reads=tuple(names.outside.get("families", ())),
        code=("agents", "pipelines/synthesis", "rollout", "training", "world"),
        params=("threads", "world", "warm_start", "sources.${item.source}"),
        makes=(f"{MODELS}/${{key}}", f"{REPORTING}/training/${{key}}"),
        each=CHECKPOINTS,
    )


# -- preference pairs --------------------------------------------------------------------------------------


def _preferences(design: StudyDesign, names: Names) -> Iterator[tuple[str, Stage]]:
    """How a source policy comes to its pairs, and to the report that they passed."""
    if design.pairs == "candidates":
        yield "candidates", _candidates(design)
        if design.emulated:
            yield "score_candidates", _score_candidates()
        else:
            yield "competence", _competence()
        yield "pairs", _pairs(names)
        yield "validate", _validate(design)
    elif design.pairs == "published":
        yield "published", _published(names)
        yield "take_pairs", _take_published()
    else:
        yield "take_pairs", _take_own(names)


def _candidates(design: StudyDesign) -> Stage:
    emulated = design.emulated
    chosen = "--nodes=${key}.roll_out_candidates" if emulated else "--namespaces=${key} --tags=candidates"
    made = ("candidates.jsonl", "candidate_table.parquet", *(() if emulated else ("candidate_scores.parquet",)))
    return Stage(
        run=f"--pipelines=synthesis {chosen}",
        reads=(f"{MODELS}/${{item.checkpoint}}", f"{_case_folder(design)}/${{item.cases}}/cases.jsonl"),
        code=_playing(design),
        params=("threads", "candidates", *_emulator(design)),
        makes=tuple(f"{FEATURE}/${{key}}/{name}" for name in made),
        each=SOURCES,
    )


def _score_candidates() -> Stage:
    """Apart from the playing: another judge does not play the candidates again."""
    return Stage(
        run="--pipelines=synthesis --nodes=${key}.score_candidates",
        reads=(f"{PRIMARY}/emulated/${{item.cases}}/cases.jsonl", f"{FEATURE}/${{key}}/candidates.jsonl"),
        code=JUDGES,
        params=("judging", "emulation"),
        makes=tuple(f"{FEATURE}/${{key}}/candidate_{name}.parquet" for name in ("judgements", "scores")),
        each=SOURCES,
    )


def _competence() -> Stage:
    """What the source makes of hazards; only the tool world can tell."""
    return Stage(
        run="--pipelines=synthesis --namespaces=${key} --tags=competence",
        reads=(
            f"{MODELS}/${{item.checkpoint}}",
            f"{PRIMARY}/${{item.cases}}/cases.jsonl",
            f"{FEATURE}/${{key}}/candidate_scores.parquet",
        ),
        code=("agents", "analysis", "rollout", "training", *WORLD),
        params=("threads", "sources", "warm_start"),
        makes=(f"{FEATURE}/${{key}}/competence.json",),
        each=SOURCES,
    )


def _pairs(names: Names) -> Stage:
    return Stage(
        run="--pipelines=synthesis --namespaces=${key} --tags=pairs",
        reads=tuple(f"{FEATURE}/${{key}}/{name}" for name in ("candidates.jsonl", "candidate_scores.parquet")),
        code=("pipelines/synthesis", "preferences"),
        params=tuple(f"pairing.{objective}" for objective in names.objectives),
        makes=(f"{PAIRS}/${{key}}",),
        each=SOURCES,
    )


def _validate(design: StudyDesign) -> Stage:
    return Stage(
        run="--pipelines=validation --namespaces=${key}",
        reads=(
            f"{PAIRS}/${{key}}",
            f"{_case_folder(design)}/${{item.cases}}/case_table.parquet",
            *(f"{FEATURE}/${{key}}/candidate_{name}.parquet" for name in ("table", "scores")),
        ),
        code=("pipelines/validation", "validation.py"),
        makes=(f"{PAIRS}/validation/${{key}}.json",),
        each=SOURCES,
    )


def _published(names: Names) -> Stage:
    tables = {
        "02_intermediate": ("episodes.parquet", "conversations.parquet", "toolkits.json"),
        "03_primary": ("trajectories.parquet", "pool_scores.parquet", "scores.parquet"),
        "05_model_input": ("pair_table.parquet", "pair_rejections.parquet", "pair_counts.json"),
        "08_reporting": ("quarantine.parquet",),
    }
    return Stage(
        run="--pipelines=published_training --namespaces=published",
        reads=tuple(names.outside["published"]),
        code=("pipelines/published", "preferences", "published", "toolemu"),
        params=("published",),
        makes=tuple(f"${{data}}/{layer}/published/{file}" for layer, files in tables.items() for file in files),
    )


def _take_published() -> Stage:
    return Stage(
        run="--pipelines=published_training --namespaces=${key}",
        reads=(
            *("${data}/02_intermediate/published/" + name for name in ("conversations.parquet", "toolkits.json")),
            f"{PRIMARY}/published/pool_scores.parquet",
            f"{PAIRS}/published/pair_table.parquet",
        ),
        code=("pipelines/published_training", "preferences", "published", "toolemu"),
        params=("published", "published_training"),
        makes=(f"{PAIRS}/${{key}}", f"{PAIRS}/validation/${{key}}.json"),
        each=SOURCES,
    )


def _take_own(names: Names) -> Stage:
    return Stage(
        run="--pipelines=own_pairs --namespaces=${key}",
        reads=tuple(names.outside["own"]),
        code=("pipelines/own_pairs", "preferences"),
        params=("study",),
        makes=(f"{PAIRS}/${{key}}", f"{PAIRS}/validation/${{key}}.json"),
        each=SOURCES,
    )


# -- checkpoints and what they do --------------------------------------------------------------------------


def _train() -> Stage:
    return Stage(
        run="--pipelines=training --namespaces=${key}",
        reads=(
            f"{PAIRS}/${{item.origin}}/pairs_${{item.objective}}.jsonl",
            f"{PAIRS}/validation/${{item.origin}}.json",
            f"{MODELS}/${{item.starts_from}}",
            f"{MODELS}/${{item.source}}",
        ),
        code=("agents", "pipelines/training", "training"),
        params=("threads", "training.${item.objective}", "policies.${key}"),
        makes=(f"{MODELS}/${{key}}", f"{REPORTING}/training/${{key}}"),
        each=TRAINED,
    )


def _rollout(design: StudyDesign, names: Names) -> Stage:
    return Stage(
        run="--pipelines=rollout --namespaces=${key}",
        reads=(f"{MODELS}/${{item.checkpoint}}", f"{_case_folder(design)}/${{item.cases}}/cases.jsonl"),
        code=(*_playing(design), *(("pipelines/rollout",) if names.pretrained else ())),
        params=("threads", "rollout", *_emulator(design)),
        makes=(f"{OUTPUT}/rollouts/${{key}}",),
        each=EVERY,
    )


def _score(design: StudyDesign) -> Stage:
    tables = ("judgements", "scores") if design.emulated else ("scores",)
    return Stage(
        run="--pipelines=scoring --namespaces=${key}",
        reads=(
            f"{_case_folder(design)}/${{item.cases}}/cases.jsonl",
            f"{OUTPUT}/rollouts/${{key}}/trajectories.jsonl",
        ),
        code=JUDGES if design.emulated else WORLD,
        params=_emulator(design, "judging") if design.emulated else ("rollout.max_invalid_share",),
        makes=tuple(f"{OUTPUT}/{table}/${{key}}.parquet" for table in tables),
        each=EVERY,
    )


def _playing(design: StudyDesign) -> tuple[str, ...]:
    """Code by which an agent plays cases."""
    return ("agents", *(EMULATOR if design.emulated else WORLD), "rollout")


def _emulator(design: StudyDesign, *others: str) -> tuple[str, ...]:
    """Parameters that only a study on ToolEmu's cases has."""
    return (*others, "emulation") if design.emulated else ()


# -- the study ---------------------------------------------------------------------------------------------


def _study(design: StudyDesign) -> Iterator[tuple[str, Stage]]:
    told = (FEATURE,) if design.pairs == "candidates" else ()
    yield (
        "frontier",
        Stage(
            run="--pipelines=frontier --tags=analysis",
            reads=(_case_folder(design), f"{OUTPUT}/scores"),
            code=("analysis", "pipelines/frontier", *(EMULATOR[:1] if design.emulated else WORLD)),
            params=("threads", "analysis", *(() if design.emulated else ("rollout",)), SPEC),
            makes=tuple(
                f"{REPORTING}/{name}"
                for name in ("scores.parquet", "grid.parquet", "attainable.json", "analysis.json")
            ),
        ),
    )
    yield (
        "metrics",
        Stage(
            run="--pipelines=frontier --tags=metrics",
            reads=(f"{REPORTING}/analysis.json",),
            code=("analysis", "pipelines/frontier"),
            metrics=(f"{REPORTING}/metrics.json",),
            plots={f"{REPORTING}/points.json": {"x": "helpfulness", "y": "safety", "title": "Frontier"}},
        ),
    )
    yield (
        "report",
        Stage(
            run="--pipelines=reporting",
            reads=(
                PAIRS,
                *told,
                f"{REPORTING}/training",
                *(f"{REPORTING}/{name}" for name in ("scores.parquet", "analysis.json")),
                _case_folder(design),
                f"{OUTPUT}/rollouts",
            ),
            code=(
                "agents",
                "analysis",
                "pipelines/reporting",
                "report",
                "world",
                *(EMULATOR if design.emulated else WORLD[:1]),
            ),
            params=(ALL,),
            makes=tuple(
                f"{REPORTING}/{name}"
                for name in ("summary.json", "figures", "browser.json", "taught.json", "report.html", "cards")
            ),
        ),
    )

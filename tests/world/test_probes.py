"""What the agent is told at first gives away neither hazard nor conflict, and hardly the kind.

Boosted trees of depth two on 1–3-grams of words, folds grouped by twin pair, with the tools that are shown and
without.
"""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import numpy.typing as npt
import pytest
from world_settings import SETTINGS, default_world

from persistence_pipeline.world.cases import Case
from persistence_pipeline.world.phrasing import opening, shown_schemas
from persistence_pipeline.world.splits import WorldSettings, generate_cases

TWINS = {"train": 24, "test_iid": 0, "test_combination": 24, "test_domain": 24}
N_FOLDS, ROUNDS, RATE = 4, 25, 0.3
LEAST = 8
"""Cases that an n-gram has to occur in to be a feature."""
Matrix = npt.NDArray[np.float64]


def made(phrasing: str, world: WorldSettings = SETTINGS) -> list[Case]:
    return generate_cases(world.model_copy(update={"phrasing": phrasing, "twins_per_group": TWINS}), 0)


def told(case: Case, *, with_tools: bool) -> list[str]:
    text = " ".join(message.content for message in opening(case))
    return (text + " " + json.dumps(shown_schemas(case)) if with_tools else text).split()


def features(texts: list[list[str]]) -> Matrix:
    """Which n-grams occur in which text."""
    grams = [{" ".join(w[i : i + n]) for n in (1, 2, 3) for i in range(len(w) - n + 1)} for w in texts]
    counts = Counter(gram for found in grams for gram in found)
    known = {gram: i for i, gram in enumerate(sorted(g for g, n in counts.items() if LEAST <= n < len(texts)))}
    x = np.zeros((len(texts), len(known)))
    for row, found in enumerate(grams):
        x[row, [known[gram] for gram in found if gram in known]] = 1
    return x


def _split(x: Matrix, gradient: Matrix, rows: npt.NDArray[np.bool_]) -> int:
    """The feature whose two sides differ most in the sum of gradients."""
    inside = x[rows]
    n_on = inside.sum(0)
    on, total, n = inside.T @ gradient[rows], gradient[rows].sum(), rows.sum()
    gain = on**2 / (n_on + 1) + (total - on) ** 2 / (n - n_on + 1)
    return int(np.argmax(gain))


def boosted(x: Matrix, y: Matrix, test: Matrix) -> Matrix:
    """Scores of the test rows, by logistic boosting of trees of depth two."""
    score, unseen = np.zeros(len(y)), np.zeros(len(test))
    for _ in range(ROUNDS):
        gradient = y - 1 / (1 + np.exp(-score))
        first = _split(x, gradient, np.ones(len(y), bool))
        for side in (0, 1):
            rows = x[:, first] == side
            if not rows.any():
                continue
            second = _split(x, gradient, rows)
            for leaf in (0, 1):
                inside = rows & (x[:, second] == leaf)
                step = RATE * 4 * gradient[inside].sum() / (inside.sum() + 1)
                score[inside] += step
                unseen[(test[:, first] == side) & (test[:, second] == leaf)] += step
    return unseen


def folds(cases: list[Case]) -> npt.NDArray[np.int_]:
    pairs = {twin: i for i, twin in enumerate(dict.fromkeys(case.twin_id for case in cases))}
    drawn = np.random.default_rng(1).permutation(len(pairs)) % N_FOLDS
    return np.array([drawn[pairs[case.twin_id]] for case in cases])


def probe_auc(cases: list[Case], x: Matrix, y: Matrix) -> float:
    fold, scores = folds(cases), np.zeros(len(cases))
    for held in range(N_FOLDS):
        train = fold != held
        scores[~train] = boosted(x[train], y[train], x[~train])
    aucs = [_auc(scores[fold == held], y[fold == held]) for held in range(N_FOLDS)]
    return float(np.mean(aucs))


def _auc(scores: Matrix, y: Matrix) -> float:
    positive, negative = scores[y == 1], scores[y == 0]
    wins = (positive[:, None] > negative).mean() + 0.5 * (positive[:, None] == negative).mean()
    return float(wins)


@pytest.mark.slow
@pytest.mark.parametrize(("phrasing", "with_tools"), [("compact", False), ("natural", False), ("natural", True)])
def test_no_probe_finds_hazards_or_conflicts_and_a_planted_leak_is_found(phrasing: str, with_tools: bool) -> None:
    cases = made(phrasing)
    texts = [told(case, with_tools=with_tools) for case in cases]
    x, hazard = features(texts), np.array([case.hazard for case in cases], float)
    assert probe_auc(cases, x, hazard) <= 0.55
    hazards = [index for index, case in enumerate(cases) if case.hazard]
    conflict = np.array([cases[index].conflicting for index in hazards], float)
    assert probe_auc([cases[index] for index in hazards], x[hazards], conflict) <= 0.55
    rng = np.random.default_rng(0)
    leaked = [
        [*text, "please"] if case.hazard and rng.random() < 0.5 else text
        for text, case in zip(texts, cases, strict=True)
    ]
    assert probe_auc(cases, features(leaked), hazard) > 0.65


@pytest.mark.parametrize("phrasing", ["compact", "natural"])
@pytest.mark.parametrize("world", [SETTINGS, default_world()], ids=["full", "default"])
def test_a_word_probe_names_the_kind_of_at_most_half_of_the_cases(world: WorldSettings, phrasing: str) -> None:
    """Naive Bayes on the same features, of cases that it was not fitted on."""
    cases = [case for case in made(phrasing, world) if case.hazard]
    x, kinds = features([told(case, with_tools=False) for case in cases]), sorted({case.kind for case in cases})
    y, fold = np.array([kinds.index(case.kind) for case in cases]), folds(cases)
    right = 0
    for held in range(N_FOLDS):
        train = fold != held
        rates = np.array(
            [(x[train & (y == k)].sum(0) + 0.5) / ((train & (y == k)).sum() + 1) for k in range(len(kinds))]
        )
        logs = x[~train] @ np.log(rates).T + (1 - x[~train]) @ np.log1p(-rates).T
        right += (logs.argmax(1) == y[~train]).sum()
    assert right / len(cases) <= 0.5, right / len(cases)

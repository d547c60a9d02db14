"""Numbers of the published study (arXiv:2603.02229), shown for comparison."""

FRONTIER = {"n": 30, "r2": 0.7655, "slope": -0.8567, "intercept": 0.4209}
"""All three models, each evaluated by the evaluator whose pairs it was trained on."""
PERSISTENCE = {
    0.1: {"safety": 0.908, "helpfulness": 0.155},
    0.05: {"safety": 0.863, "helpfulness": 0.098},
}
"""Average over models and evaluators, by beta."""

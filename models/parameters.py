"""XGBoost's parameters as people give them: checked by name, because XGBoost only warns of one it doesn't know."""

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from models.errors import TrainingError

Parameter = str | int | float | bool | None
Parameters = dict[str, Parameter]

OBJECTIVE = "binary:logistic"

# For some hundred frauds in some hundred thousand payments: small steps, and leaves that need more than one fraud.
DEFAULTS: Parameters = {
    "n_estimators": 200,
    "max_depth": 6,
    "learning_rate": 0.1,
    "min_child_weight": 2.0,
    "subsample": 0.9,
    "colsample_bytree": 0.9,
    "tree_method": "hist",
    "random_state": 0,
}

# Parameters of the tree booster, under XGBoost's names and scikit-learn's.
# Source: https://xgboost.readthedocs.io/en/stable/parameter.html
KNOWN = frozenset(
    [
        "n_estimators",
        "max_depth",
        "eta",
        "learning_rate",
        "gamma",
        "min_split_loss",
        "min_child_weight",
        "max_delta_step",
        "subsample",
        "sampling_method",
        "colsample_bytree",
        "colsample_bylevel",
        "colsample_bynode",
        "lambda",
        "reg_lambda",
        "alpha",
        "reg_alpha",
        "tree_method",
        "scale_pos_weight",
        "refresh_leaf",
        "process_type",
        "grow_policy",
        "max_leaves",
        "max_bin",
        "num_parallel_tree",
        "monotone_constraints",
        "interaction_constraints",
        "max_cached_hist_node",
        "base_score",
        "seed",
        "random_state",
        "seed_per_iteration",
        "booster",
        "rate_drop",
        "one_drop",
        "skip_drop",
        "sample_type",
        "normalize_type",
        "objective",
        "nthread",
        "n_jobs",
    ],
)


def read_parameters(given: Sequence[str]) -> Parameters:
    """Return the parameters that `given` names, each a `name=value` or a JSON or YAML file; later ones win."""
    found: Parameters = {}
    for item in given:
        name, equals, value = item.partition("=")
        if equals and not Path(item).is_file():
            found[name.strip()] = _value(value.strip())
        else:
            found.update(_read_file(Path(item)))
    return found


def complete(given: Mapping[str, Parameter]) -> Parameters:
    """Return `given` with the defaults for what it leaves open; raise `TrainingError` naming every unknown one.

    Giving any parameter leaves the rest at `DEFAULTS`; `defaults=xgboost` leaves them at XGBoost's own.
    """
    chosen = dict(given)
    own = chosen.pop("defaults", "mitra")
    if own not in ("mitra", "xgboost"):
        msg = f"defaults={own!r} is neither mitra nor xgboost"
        raise TrainingError(msg)
    unknown = [_unknown(name) for name in chosen if name not in KNOWN]
    if unknown:
        msg = "XGBoost has no such parameter: " + "; ".join(unknown)
        raise TrainingError(msg)
    if chosen.get("objective", OBJECTIVE) != OBJECTIVE:
        msg = f"objective={chosen['objective']!r} gives no probability of fraud; leave it out, it is {OBJECTIVE}"
        raise TrainingError(msg)
    if chosen.get("booster", "gbtree") == "gblinear":
        msg = "booster='gblinear' gives no trees; use gbtree or dart"
        raise TrainingError(msg)
    base: Parameters = {"n_estimators": 100} if own == "xgboost" else dict(DEFAULTS)
    rounds = (base | chosen)["n_estimators"]
    if not isinstance(rounds, int) or isinstance(rounds, bool) or not 1 <= rounds <= 100_000:
        msg = f"n_estimators={rounds!r} is not a number of trees; give a whole number, 1 … 100000"
        raise TrainingError(msg)
    return base | chosen | {"objective": OBJECTIVE}


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, KNOWN, n=1)
    return name + (f" (did you mean {near[0]}?)" if near else "")


def _read_file(path: Path) -> Parameters:
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        msg = f"--params {path} is neither name=value nor a file that can be read ({error.strerror})"
        raise TrainingError(msg) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        msg = f"--params {path} is neither JSON nor YAML: {error}"
        raise TrainingError(msg) from error
    if not isinstance(found, dict) or not all(isinstance(value, str | int | float | None) for value in found.values()):
        msg = f"--params {path} is not a mapping of names to plain values"
        raise TrainingError(msg)
    return {str(name): value for name, value in found.items()}


def _value(text: str) -> Parameter:
    value = yaml.safe_load(text) if text else ""
    if isinstance(value, str):
        # YAML 1.1 reads 1e-3 as text, for want of a dot.
        try:
            return float(value)
        except ValueError:
            return value
    return value if isinstance(value, int | float | None) else text

"""What `model.ubj` holds, checked before XGBoost reads it: whole trees over known features, ending in a probability.

XGBoost follows child and feature numbers without looking: a tree that points outside itself reads foreign memory, one that
points back at itself never ends.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from models.errors import ModelError
from models.parameters import OBJECTIVE
from models.ubj import read_ubj

# The columns of a tree and their types, as XGBoost 3 writes them: it reads a column of another type as if it were its own.
_NODE_COLUMNS = {
    "left_children": "i4",
    "right_children": "i4",
    "parents": "i4",
    "split_indices": "i4",
    "split_type": "u1",
    "split_conditions": "f4",
    "default_left": "u1",
    "base_weights": "f4",
    "loss_changes": "f4",
    "sum_hessian": "f4",
}
_NO_PARENT = 2**31 - 1


@dataclass(frozen=True, slots=True)
class TreesSummary:
    """How many features the trees read, under which names (empty: none are kept), and how many trees there are."""

    features: int
    names: tuple[str, ...]
    trees: int


def check_trees(content: bytes) -> TreesSummary:
    """Return what the bytes of a `model.ubj` hold; raise `ModelError` with the first thing that can't be right."""
    try:
        return _check(read_ubj(content))
    except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
        what = f"lacks {error}" if isinstance(error, KeyError) else str(error)
        msg = f"its parts are not those of an XGBoost model: {what}"
        raise ModelError(msg) from error


def _check(document: Any) -> TreesSummary:
    learner = document["learner"]
    objective = learner["objective"]["name"]
    if objective != OBJECTIVE:
        msg = f"objective={objective} gives no probability of fraud; train with {OBJECTIVE}"
        raise ModelError(msg)
    features = int(learner["learner_model_param"]["num_feature"])
    booster = learner["gradient_booster"]
    if booster["name"] not in ("gbtree", "dart"):
        msg = f"booster={booster['name']} has no trees; use gbtree or dart"
        raise ModelError(msg)
    model = booster["gbtree"]["model"] if booster["name"] == "dart" else booster["model"]
    trees = model["trees"]
    count = int(model["gbtree_model_param"]["num_trees"])
    _require(len(trees) == len(model["tree_info"]) == count, f"num_trees={count}, but there are {len(trees)}")
    _require(not any(model["tree_info"]), "its trees belong to several classes")
    if booster["name"] == "dart":
        _require(len(booster["weight_drop"]) == count, "weight_drop has not one number for each tree")
    ends = np.asarray(model["iteration_indptr"], dtype=np.int64)
    _require(len(ends) > 0 and ends[0] == 0 and ends[-1] == count, "iteration_indptr does not span the trees")
    _require(bool(np.all(np.diff(ends) >= 0)), "iteration_indptr falls")
    for number, tree in enumerate(trees):
        _check_tree(number, tree, features)
    return TreesSummary(features, tuple(learner["feature_names"]), count)


def _check_tree(number: int, tree: dict[str, Any], features: int) -> None:
    nodes = int(tree["tree_param"]["num_nodes"])
    where = f"tree {number}:"
    _require(nodes > 0 and int(tree["tree_param"]["size_leaf_vector"]) <= 1, f"{where} num_nodes={nodes}")
    _require(int(tree["tree_param"]["num_feature"]) == features, f"{where} its number of features differs")
    for name, kind in _NODE_COLUMNS.items():
        column = tree[name]
        fits = isinstance(column, np.ndarray) and column.shape == (nodes,) and column.dtype == np.dtype(f">{kind}")
        _require(fits, f"{where} {name} is not {nodes} numbers of type {kind}")
    left, right, parents, split = (tree[name].astype(np.int64) for name in tuple(_NODE_COLUMNS)[:4])
    inner = np.flatnonzero(left != -1)
    _require(np.array_equal(inner, np.flatnonzero(right != -1)), f"{where} a node has one child")
    children = np.concatenate((left[inner], right[inner]))
    _require(bool(np.all((children > 0) & (children < nodes))), f"{where} a child is outside the tree")
    _require(len(np.unique(children)) == len(children), f"{where} a node has two parents")
    _require(np.array_equal(parents[children], np.tile(inner, 2)), f"{where} a node's parent is another")
    others = np.setdiff1d(np.arange(nodes), children)
    _require(bool(np.all(parents[others] == _NO_PARENT)), f"{where} a node without parent names one")
    _require(bool(np.all((split[inner] >= 0) & (split[inner] < features))), f"{where} a split reads an unknown feature")
    _require(not np.any(tree["split_type"]), f"{where} a split is categorical")


def _require(holds: bool, otherwise: str) -> None:  # noqa: FBT001 - a statement
    if not holds:
        raise ModelError(otherwise)

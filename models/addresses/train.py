"""Trains the parser of addresses: `python -m models.addresses.train DATA --output FILE`.

DATA is a folder with the two collections that `models.addresses.corpus` reads. A seeded fifth of each is kept for the
report, which is all that is printed; the model has seen none of it. `--measure` reports on FILE without training.
"""

import argparse
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pycrfsuite

from models.addresses.corpus import Tagged, fold, learnt, read_delhi, read_us, split
from models.addresses.evaluation import by_entity, by_token, ms_an_address
from models.addresses.features import features
from models.addresses.parser import SHIPPED, Parser
from models.errors import ModelError, TrainingError

SEED, TEST_SHARE = 7, 0.2
PARAMETERS = {"c1": 0.05, "c2": 0.1, "max_iterations": 90}
"""L-BFGS with both penalties, chosen by `--cross-validate`: no test address has a say."""
FOLDS = 5


def train(addresses: list[Tagged], path: Path) -> None:
    """Fit a model and write it."""
    trainer = pycrfsuite.Trainer(verbose=False)
    trainer.set_params(PARAMETERS)
    for address in addresses:
        trainer.append(features(address.tokens), [learnt(tag) for tag in address.tags])
    part = path.with_name(path.name + ".part")
    try:
        trainer.train(str(part))
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def cross_validated(collections: dict[str, list[Tagged]], seed: int) -> dict[str, float]:
    """Return the share of tokens that are right in each collection, every fifth parsed by a model of the other four."""
    right, tokens = dict.fromkeys(collections, 0.0), dict.fromkeys(collections, 0)
    with tempfile.TemporaryDirectory(prefix="mitra-addresses-") as folder:
        path = Path(folder) / "model"
        for number in range(FOLDS):
            parted = {name: fold(addresses, seed, FOLDS, number) for name, addresses in collections.items()}
            train([address for others, _ in parted.values() for address in others], path)
            parser = Parser(path.read_bytes())
            for name, (_, held_out) in parted.items():
                found = by_token(parser, held_out)
                right[name] += found.accuracy * found.tokens
                tokens[name] += found.tokens
    return {name: right[name] / tokens[name] for name in collections}


def report(parser: Parser, us: list[Tagged], delhi: list[Tagged], size: int) -> dict[str, Any]:
    """Return what the test addresses say of a parser."""
    median, slow = ms_an_address(parser, us + delhi)
    return {
        "us": asdict(by_token(parser, us)),
        "delhi": asdict(by_token(parser, delhi)),
        "delhi_entities_f1": by_entity(parser, delhi),
        "ms_an_address": {"median": median, "p99": slow},
        "model_bytes": size,
    }


def _tell(found: dict[str, Any]) -> None:
    for name in ("us", "delhi"):
        one = found[name]
        print(f"{name}: {one['addresses']} addresses, {one['tokens']:,} tokens")
        print(f"  tokens right {one['accuracy']:.4f}, addresses wholly right {one['whole']:.3f}")
        print("  F1 " + ", ".join(f"{part} {value:.3f}" for part, value in one["f1"].items()))
    print(
        "delhi, entities, F1: " + ", ".join(f"{kind} {value:.3f}" for kind, value in found["delhi_entities_f1"].items())
    )
    took = found["ms_an_address"]
    print(
        f"a parse takes {took['median']:.3f} ms, p99 {took['p99']:.3f} ms; the model has {found['model_bytes']:,} bytes"
    )


def main() -> int:
    """Split, train, measure and tell."""
    parser = argparse.ArgumentParser(prog="python -m models.addresses.train", description=__doc__, allow_abbrev=False)
    parser.add_argument("data", metavar="DATA", type=Path, help="the folder with the collections")
    parser.add_argument("--output", metavar="FILE", type=Path, default=SHIPPED, help="(default: the shipped model)")
    parser.add_argument("--seed", metavar="N", type=int, default=SEED, help=f"of the split (default: {SEED})")
    parser.add_argument("--measure", action="store_true", help="train nothing, report on FILE")
    parser.add_argument(
        "--cross-validate", action="store_true", help="write nothing: measure on fifths of the training addresses"
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    args = parser.parse_args()
    try:
        us_train, us_test = split(read_us(args.data), args.seed, TEST_SHARE)
        delhi_train, delhi_test = split(read_delhi(args.data), args.seed, TEST_SHARE)
        if args.cross_validate:
            shares = cross_validated({"us": us_train, "delhi": delhi_train}, args.seed)
            lines = [f"{name}: tokens right {share:.4f} in {FOLDS} folds" for name, share in shares.items()]
            print(json.dumps(shares) if args.json else "\n".join(lines))
            return 0
        if not args.measure:
            args.output.parent.mkdir(parents=True, exist_ok=True)
            train(us_train + delhi_train, args.output)
        model = args.output.read_bytes()
        found = report(Parser(model), us_test, delhi_test, len(model))
    except (TrainingError, ModelError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(found)) if args.json else _tell(found)
    return 0


if __name__ == "__main__":
    sys.exit(main())

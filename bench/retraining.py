"""Retraining, week by week, on the published card transactions: does a challenger do better on the week that comes?

One model is trained on what was known by the first fold and never again. At each later week's begin a challenger is retrained as
`mitra retrain` does, on what is known by then, and both score the week. Exit status 1 unless the challengers' mean average
precision lies above the other's and no week is worse by more than 0.02.
"""

import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from bench.handbook import features_of, options, part_of_customers, published
from models.artefact import load_model, write_artefact
from models.dataset import Dataset, read_dataset
from models.labels import LabelSource
from models.metrics import average_precision
from models.model import Model
from models.retraining import retrain, spans
from models.training import Order
from models.windows import Span

DAY_MS = 86_400_000
FIRST = datetime(2018, 6, 20, tzinfo=UTC)
WEEKS = 8
MATURED_MS, TRAIN_MS, TEST_MS = 7 * DAY_MS, 90 * DAY_MS, 7 * DAY_MS
WORST = 0.02


def challenger(data: Dataset, as_of_ms: int, champion: Model | None, folder: Path) -> Model:
    """Return what retraining ships as of a time; the champion where it ships nothing."""
    held = None if champion is None else champion.manifest.training
    train_span, test = spans(as_of_ms, MATURED_MS, TRAIN_MS, TEST_MS, held)
    order = Order("handbook", "handbook", str(as_of_ms), train_span, test)
    found = retrain(data, order, champion, data, margin=0.0, as_of_ms=as_of_ms)
    if found.shipped is None:
        assert champion is not None
        return champion
    return load_model(write_artefact(folder / str(as_of_ms), found.shipped.manifest, found.shipped.model))


def main() -> int:
    """Replay, retrain week by week, and tell."""
    args = options("retraining", __doc__)
    first_ms = int(FIRST.timestamp() * 1000)
    with tempfile.TemporaryDirectory(prefix="mitra-retraining-") as name:
        folder = Path(name)
        files = part_of_customers(published(), args.fraction, folder)
        features = features_of(args, files, folder)
        labels = LabelSource(files.labels, "TRANSACTION_ID", "TX_FRAUD", after_ms=MATURED_MS, absent_is_legit=True)
        span = Span(first_ms - MATURED_MS - TEST_MS - TRAIN_MS, first_ms + WEEKS * TEST_MS)
        data = read_dataset(features, labels, None, span)
        standing = latest = challenger(data, first_ms, None, folder)
        gains = []
        for week in range(1, WEEKS):
            begin = first_ms + week * TEST_MS
            latest = challenger(data, begin, latest, folder)
            rows = data.within(Span(begin, begin + TEST_MS))
            found = [
                average_precision(model.raw_scores(data.x[rows]), data.labels[rows]) for model in (standing, latest)
            ]
            gains.append(found[1] - found[0])
            day = datetime.fromtimestamp(begin / 1000, UTC)
            print(f"week of {day:%d %B}: not retrained {found[0]:.4f}, retrained {found[1]:.4f} ({latest.reference})")
    mean, worst = float(np.mean(gains)), float(min(gains))
    met = {
        f"mean gain {mean:+.4f} over {len(gains)} weeks is above 0": mean > 0,
        f"the worst week, {worst:+.4f}, is no worse than -{WORST}": worst >= -WORST,
    }
    for what, one in met.items():
        print(f"{what}: {'met' if one else 'MISSED'}")
    return 0 if all(met.values()) else 1


if __name__ == "__main__":
    sys.exit(main())

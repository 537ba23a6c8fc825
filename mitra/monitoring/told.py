"""What a window comes to, as records of the monitor topic."""

from collections.abc import Mapping
from typing import Any

from mitra.monitoring.alarms import Alarms, Bounds
from mitra.monitoring.observed import Sheet
from mitra.monitoring.settings import Check, Monitoring
from mitra.monitoring.window import DECISIONS, RAW_SCORE, SCORE, SCORED, Window
from models.drift import Bins, Counts, missing_share

Record = dict[str, Any]

GAPS = 1_000
"""More windows without a payment, one behind the other, aren't told."""
_NOISE = 3.0
"""PSI of n values in b bins that haven't moved is about (b - 1) / n; this many times that is still taken for chance."""
_SCORES = {RAW_SCORE: "raw_score", SCORE: "score"}


class Telling:
    """Makes records of windows, and judges alarms."""

    def __init__(
        self, monitoring: Monitoring, built_on: Mapping[str, tuple[str, ...]], *, silent_is_legit: bool
    ) -> None:
        """Tell by `monitoring`; `built_on` tells of features that are fields which others read the same field."""
        self._monitoring = monitoring
        self._built_on = built_on
        self._silent_is_legit = silent_is_legit

    def drift(self, window: Window, bins: Mapping[str, Mapping[str, Bins]], alarms: Alarms) -> list[Record]:
        """Return volume, checks and drift of a window, and the alarms that went on or off."""
        head = self._head(window.start_ms)
        before = set(alarms.on)
        records = [self._volume(head, window.payments, alarms)]
        for name, found in sorted(window.checks.items()):
            records += self._checked(head, name, found, alarms)
        for model, counts in sorted(window.counts.items()):
            known = bins.get(model, {})
            records += [
                self._moved(head, model, name, one, known[name], alarms)
                for name, one in counts.items()
                if name in known
            ]
        return records + self._changes(head, before, alarms, sorted(window.counts), "volume", "check")

    def gaps(self, last_ms: int, next_ms: int, alarms: Alarms) -> list[Record]:
        """Return the volume of windows without a payment, behind one and before another."""
        span = self._monitoring.window_ms
        records = []
        for start in range(max(last_ms + span, next_ms - GAPS * span), next_ms, span):
            before = set(alarms.on)
            head = self._head(start)
            records += [self._volume(head, 0, alarms), *self._changes(head, before, alarms, (), "volume")]
        return records

    def quality(self, window: Window, sheets: Mapping[str, Sheet], alarms: Alarms) -> list[Record]:
        """Return how right the decisions and each model were in a window whose labels have matured."""
        head = self._head(window.start_ms)
        before = set(alarms.on)
        money = self._monitoring.amount is not None
        records = []
        for model, arms in sorted(window.tallies.items()):
            for arm, tally in sorted(arms.items()):
                record = {"metric": "quality", "arm": arm, **head}
                if model != DECISIONS:
                    record |= {"model": model, "mode": window.modes.get(model, "shadow")}
                record |= tally.figures(silent_is_legit=self._silent_is_legit, money=money)
                scores = window.rankings.get(model, {}).get(arm)
                if scores is not None:
                    ranking = scores.ranking(silent_is_legit=self._silent_is_legit)
                    record |= {
                        "auc": ranking.auc,
                        "average_precision": ranking.average_precision,
                        "exact": ranking.exact,
                    }
                if arm == SCORED:
                    record |= self._right(model, record, sheets.get(model), alarms)
                records.append(record)
        models = [model for model in sorted(window.tallies) if model != DECISIONS]
        return records + self._changes(head, before, alarms, models, kinds=("quality",))

    def _head(self, start_ms: int) -> Record:
        return {"from": start_ms, "to": start_ms + self._monitoring.window_ms}

    def _volume(self, head: Record, payments: int, alarms: Alarms) -> Record:
        volume = self._monitoring.volume
        least, most = volume.least, volume.most
        outside = (least is not None and payments < least) or (most is not None and payments > most)
        on = alarms.judge("volume", "", float(outside), Bounds(1.0, 1.0))
        return {"metric": "volume", **head, "payments": payments, "least": least, "most": most, "alarm": on}

    def _checked(self, head: Record, name: str, found: list[int], alarms: Alarms) -> list[Record]:
        check = self._monitoring.checks.get(name, Check())
        seen, outside, unseen, missing = found
        looked: list[tuple[str, int, int, float]] = []
        if check.least is not None or check.most is not None:
            looked.append(("outside", outside, seen, check.outside_share))
        if check.known:
            looked.append(("unseen", unseen, seen, check.unseen_share))
        if check.missing is not None:
            looked.append(("missing", missing, seen + missing, check.missing))
        records = []
        for kind, count, of, allowed in looked:
            value = count / of if of else None
            # Above what is allowed, not at it; off again only below half of that.
            excess = None if value is None else (1.0 if value > allowed else 0.5 if value > allowed / 2 else 0.0)
            on = alarms.judge("check", f"{name} {kind}", excess, Bounds(1.0, 0.5))
            records.append(
                {"metric": "check", "feature": name, "check": kind, **head}
                | {"payments": of, "value": value, "allowed": allowed, "alarm": on}
            )
        return records

    def _moved(self, head: Record, model: str, name: str, counts: Counts, bins: Bins, alarms: Alarms) -> Record:
        monitoring, base = self._monitoring, bins.distribution
        total = int(counts.sum())
        present = total - int(counts[-1])
        psi = bins.psi(counts)
        chance = _NOISE * max(bins.size - 2, 1) / max(present, 1)
        raises = max(monitoring.drift_raise, 2.0 * base.usual) + chance
        clears = max(monitoring.drift_clear, base.usual) + chance
        about, whom = ("score", _SCORES[name]) if name in _SCORES else ("drift", name)
        on = alarms.judge(f"{about} of {model}", whom, psi, Bounds(raises, clears))
        missing = missing_share(counts)
        spread = _NOISE * (max(base.missing, 0.01) / max(total, 1)) ** 0.5
        above = missing - base.missing if total else None
        bounds = Bounds(monitoring.missing_raise + spread, monitoring.missing_raise / 2 + spread)
        lacking = alarms.judge(f"missing of {model}", whom, above, bounds)
        return {
            "metric": "drift",
            "model": model,
            about if about == "score" else "feature": whom,
            **head,
            "payments": total,
            "value": psi,
            "allowed": raises,
            "missing": missing,
            "missing_baseline": base.missing,
            "alarm": on or lacking,
        }

    def _right(self, model: str, record: Record, sheet: Sheet | None, alarms: Alarms) -> Record:
        """Return how average precision lies to the manifest's; few frauds say nothing."""
        expected = None if sheet is None else sheet.average_precision
        found = record.get("average_precision")
        enough = record["frauds"] >= self._monitoring.quality_frauds
        drop = 1.0 - found / expected if found is not None and expected and enough else None
        allowed = self._monitoring.quality_drop
        on = alarms.judge(f"quality of {model}", "average_precision", drop, Bounds(allowed, allowed / 2))
        return {"expected_average_precision": expected, "alarm": on}

    def _changes(
        self,
        head: Record,
        before: set[tuple[str, str]],
        alarms: Alarms,
        models: "tuple[str, ...] | list[str]",
        *plain: str,
        kinds: tuple[str, ...] = ("drift", "missing", "score"),
    ) -> list[Record]:
        """Return a record for each thing about which alarms went on or off; drift names what is built on the features too."""
        asked: list[tuple[str, str, str | None]] = [(about, about, None) for about in plain]
        asked += [(kind, f"{kind} of {model}", model) for model in models for kind in kinds]
        records = []
        for kind, about, model in asked:
            change = alarms.change(about, before)
            if not change.raised and not change.cleared:
                continue
            record: Record = {"metric": "alarm", "about": kind, **head}
            if model is not None:
                record["model"] = model
            record |= {"raised": change.raised, "cleared": change.cleared, "on": change.on}
            if kind == "drift":
                behind = {other for name in change.on for other in self._built_on.get(name, ())}
                record["built_on"] = sorted(behind - set(change.on))
            records.append(record)
        return records

"""The pipeline file's section `monitor`: what is watched, and from when on it is an alarm."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from mitra.schema import Labels
from mitra.sections import Section, did_you_mean, found

_MINUTE_MS, _DAY_MS = 60_000, 86_400_000
MOST_CATEGORIES = 10_000


@dataclass(frozen=True, slots=True)
class Check:
    """What values of one feature may be. Shares are of a window's payments; the `*_share` ones are still no alarm.

    None or empty: not looked at. `missing` is the share that may be missing.
    """

    least: float | None = None
    most: float | None = None
    outside_share: float = 0.0
    known: frozenset[str] = frozenset()
    unseen_share: float = 0.0
    missing: float | None = None


@dataclass(frozen=True, slots=True)
class Volume:
    """How many payments a window may have."""

    least: int | None = None
    most: int | None = None


@dataclass(frozen=True, slots=True)
class Monitoring:
    """How a job watches its models and its data.

    `matured_ms` is how long after its window's end a label may become known and still count. `amount` is the feature that says
    what a payment is worth. Drift is an alarm from `drift_raise` (PSI) on until it falls below `drift_clear`; likewise a
    feature's missing share that lies `missing_raise` above its baseline, and average precision that lies the part
    `quality_drop` below what the manifest says, where a window has `quality_frauds` frauds. `exact_scores` distinct scores of
    a window and model are kept as they are.
    """

    window_ms: int = _DAY_MS
    matured_ms: int = 7 * _DAY_MS
    amount: str | None = None
    drift_raise: float = 0.15
    drift_clear: float = 0.1
    missing_raise: float = 0.05
    quality_drop: float = 0.3
    quality_frauds: int = 30
    exact_scores: int = 50_000
    checks: Mapping[str, Check] = field(default_factory=dict)
    volume: Volume = Volume()


def read_monitoring(root: Section, features: Mapping[str, str], labels: Labels | None) -> Monitoring | None:
    """Read the section `monitor` of the file's root; None if the file has none."""
    if "monitor" not in root:
        root.raw("monitor")
        return None
    section = root.section("monitor")
    standard = Monitoring()
    window_ms = section.duration_ms("window", standard.window_ms, _MINUTE_MS, 31 * _DAY_MS)
    silence_ms = labels.after_ms if labels is not None and labels.absent_is else standard.matured_ms
    matured_ms = section.duration_ms("matured", silence_ms, 0, 366 * _DAY_MS)
    if labels is not None and labels.absent_is and matured_ms < labels.after_ms:
        section.wrong("matured", section.raw("matured"), "at least labels.after: before, silence says nothing")
    amount = _feature(section, "amount", features) if "amount" in section else None
    section.raw("amount")
    drift = section.section("drift")
    drift_raise = _number(drift, "raise", standard.drift_raise, 10.0)
    drift_clear = _number(drift, "clear", min(standard.drift_clear, drift_raise), 10.0)
    if drift_clear > drift_raise:
        drift.wrong("clear", drift_clear, f"at most raise, which is {drift_raise:g}")
    missing_raise = _number(drift, "missing", standard.missing_raise, 1.0)
    drift.close()
    quality = section.section("quality")
    drop = _number(quality, "drop", standard.quality_drop, 1.0)
    frauds = quality.integer("frauds", standard.quality_frauds, 1, 1_000_000)
    quality.close()
    exact = section.integer("exact_scores", standard.exact_scores, 1_000, 10_000_000)
    checks = _checks(section.section("checks"), features)
    volume = _volume(section.section("volume"))
    section.close()
    return Monitoring(
        window_ms=window_ms,
        matured_ms=matured_ms,
        amount=amount,
        drift_raise=drift_raise,
        drift_clear=drift_clear,
        missing_raise=missing_raise,
        quality_drop=drop,
        quality_frauds=frauds,
        exact_scores=exact,
        checks=checks,
        volume=volume,
    )


def _number(section: Section, key: str, default: float, most: float) -> float:
    value = section.number(key, 0.0, most)
    return default if value is None else value


def _feature(section: Section, key: str, features: Mapping[str, str]) -> str | None:
    name = section.text(key, allowed="a feature of this file")
    if name and name not in features:
        section.wrong(key, name, "a feature of this file", did_you_mean(name, features))
        return None
    return name or None


def _checks(section: Section, features: Mapping[str, str]) -> dict[str, Check]:
    checks = {}
    for name in section:
        one = section.section(name)
        if name not in features:
            hint = did_you_mean(name, features) or "a field is checked once it is a feature"
            section.report.add(section.at(name), f"found {found(name)}; allowed: a feature of this file", hint)
        known = one.texts("known", "a list of texts") if "known" in one else ()
        one.raw("known")
        if len(known) > MOST_CATEGORIES:
            one.wrong("known", list(known), f"at most {MOST_CATEGORIES} texts")
        check = Check(
            least=one.number("least", -1e308, 1e308),
            most=one.number("most", -1e308, 1e308),
            outside_share=_number(one, "outside", 0.0, 1.0),
            known=frozenset(known),
            unseen_share=_number(one, "unseen", 0.0, 1.0),
            missing=one.number("missing", 0.0, 1.0),
        )
        if check.least is not None and check.most is not None and check.least > check.most:
            one.wrong("least", check.least, f"at most most, which is {check.most:g}")
        if check == Check():
            section.report.add(section.at(name), "checks nothing", "give it least, most, known or missing")
        one.close()
        checks[name] = check
    return checks


def _volume(section: Section) -> Volume:
    bounds = [section.integer(key, -1, 0, 1_000_000_000_000) if key in section else None for key in ("least", "most")]
    for key in ("least", "most"):
        section.raw(key)
    least, most = bounds
    if least is not None and most is not None and least > most:
        section.wrong("least", least, f"at most most, which is {most}")
    section.close()
    return Volume(least, most)

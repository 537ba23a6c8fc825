"""What rules would have done, as figures. A rule whose outcome is review or block catches payments; one that allows catches none."""

from dataclasses import dataclass, field

from rules import Rule


@dataclass(frozen=True, slots=True)
class Caught:
    """Payments that a rule fires on, or that all rules together catch; `share` is of all payments.

    `money` is what they are worth, None where nothing says so; `stopped` is the frauds' part of it, `wrongly_stopped` that
    of the honest. What rests on labels is None without them; what rests on catching is None for a rule that allows.
    `precision` is None where no labelled payment is among them, `recall` where there is no fraud at all.
    """

    payments: int
    share: float
    money: float | None
    frauds: int | None
    honest: int | None
    precision: float | None
    recall: float | None
    stopped: float | None
    wrongly_stopped: float | None


@dataclass(frozen=True, slots=True)
class RuleFigures:
    """What one rule would have done; `tested` says that it is one of those on trial.

    `alone`: the payments that no other rule catches, `alone_frauds` the frauds among them. `overlap` tells by the id of
    another rule on how many payments both fire; `always_with` has those that fire wherever this one does.
    """

    rule: Rule
    tested: bool
    caught: Caught
    not_evaluated: int
    alone: int | None
    alone_frauds: int | None
    overlap: dict[str, int] = field(default_factory=dict)
    always_with: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Figures:
    """A backtest: the payments from when to when, the frauds and the honest ones, each rule, and all that rules catch."""

    payments: int
    first_ms: int | None
    last_ms: int | None
    frauds: int | None
    honest: int | None
    rules: tuple[RuleFigures, ...]
    together: Caught


def remarks(figures: Figures) -> list[str]:
    """Return what is odd about rules on trial: they never fire, or only where another fires too."""
    found = []
    for one in figures.rules:
        if not one.tested:
            continue
        if not one.caught.payments:
            found.append(f"{one.rule.id} never fires{_why_never(one, figures)}")
        elif one.always_with:
            others = ", ".join(one.always_with[:5]) + ", …" * (len(one.always_with) > 5)
            found.append(f"{one.rule.id} fires only where {others} fires too")
        elif one.not_evaluated > one.caught.payments:
            found.append(f"{one.rule.id} can't be decided for {one.not_evaluated:,} payments, more than it fires on")
    return found


def _why_never(one: RuleFigures, figures: Figures) -> str:
    rule, first_ms, last_ms = one.rule, figures.first_ms, figures.last_ms
    if first_ms is None or last_ms is None:
        return ": there is no payment"
    if rule.mode == "paused":
        return ": it is paused, which means that it isn't evaluated"
    if rule.from_ms is not None and rule.from_ms > last_ms:
        return ": its `from` lies behind the last payment"
    if rule.until_ms is not None and rule.until_ms <= first_ms:
        return ": its `until` lies before the first payment"
    if one.not_evaluated:
        return f": it can't be decided for {one.not_evaluated:,} payments and is false for the others"
    return ""

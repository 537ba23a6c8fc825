"""Figures of one store's orders, in plain Python over a list of all that happened; it shares no code with Mitra."""

import math
from dataclasses import dataclass

HALF_HOUR_MS = 1_800_000
KINDS = ("created", "picked", "delivered", "cancelled")


@dataclass(frozen=True)
class Step:
    """Something that happened to an order."""

    kind: str
    at_ms: int
    order: str


def figures(steps: list[Step], now_ms: int) -> dict[str, float | None]:
    """Return the figures as of a time, from steps in the order of their arrival."""
    past = sorted((step for step in steps if step.at_ms <= now_ms), key=lambda step: step.at_ms)
    recent = [step for step in past if step.at_ms > now_ms - HALF_HOUR_MS]
    found: dict[str, float | None] = {
        f"{kind}_30m": len([step for step in recent if step.kind == kind]) for kind in KINDS
    }
    found["unpicked_30m"] = sum(
        step.kind == "created"
        and not any(other.kind in ("picked", "cancelled") and other.order == step.order for other in after(past, step))
        for step in recent
    )
    times = [waited(past, step, "created") for step in past if step.kind == "picked"][-50:]
    known = [one for one in times if one is not None]
    found["accept_s"] = math.fsum(known) / len(known) if known else None
    delivered = [waited(past, step, "picked") for step in recent if step.kind == "delivered"]
    found["delivery_p90_s"] = ninth(sorted(one for one in delivered if one is not None))
    return found


def after(past: list[Step], step: Step) -> list[Step]:
    """Return what lies behind a step; none happens twice at the same place."""
    return past[next(i for i, one in enumerate(past) if one is step) + 1 :]


def waited(past: list[Step], step: Step, since: str) -> float | None:
    """Return the seconds since the newest step of a kind before one of the same order."""
    here = next(i for i, one in enumerate(past) if one is step)
    times = [one.at_ms for one in past[:here] if one.kind == since and one.order == step.order]
    return (step.at_ms - times[-1]) / 1000 if times else None


def ninth(ranked: list[float]) -> float | None:
    """Return what nine of ten don't exceed, between two values in proportion."""
    if not ranked:
        return None
    place = 0.9 * (len(ranked) - 1)
    low = math.floor(place)
    return ranked[low] + (ranked[min(low + 1, len(ranked) - 1)] - ranked[low]) * (place - low)

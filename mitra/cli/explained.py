"""The page on one decision, as it is printed and as JSON."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from mitra.cli.console import print_table
from mitra.control.export import time_text
from rules import OUTCOMES, condition_text
from rules.reasons import shown

if TYPE_CHECKING:
    from mitra.control.replay import Entry
    from mitra.inquiry.page import Page, RuleSaid, Seen
    from mitra.inquiry.usual import Usual

_FALSE_SHOWN = 30


def document(page: "Page") -> dict[str, Any]:
    """Return the page as one JSON document."""
    found, scoring = page.found, page.scoring
    others = found.others
    maker = None if page.made is None else page.made.maker
    return {
        "decision": {name: value for name, value in found.decision.items() if name != "features"},
        "found": found.place,
        "again": found.again,
        "decided_by": list(page.decided_by),
        "thresholds": {"review": scoring.review, "block": scoring.block} if scoring.at_hand else None,
        "model_outcome": None if scoring.outcome is None else OUTCOMES[scoring.outcome],
        "contributions": [dict(one) for one in scoring.contributions],
        "made": None if maker is None else _made(maker),
        "lists": [asdict(one) for one in page.lists],
        "rules": [_rule(one) for one in page.rules],
        "compared": None
        if others is None
        else {
            "entity": others.entity,
            "key": others.key,
            "payments": len(others.payments),
            "from": min((one.event.time_ms for one in others.payments), default=None),
            "to": max((one.event.time_ms for one in others.payments), default=None),
            "looked": others.looked,
        },
        "fields": [asdict(one) for one in page.fields],
        "features": [asdict(one) for one in page.features],
        "notes": list(page.notes),
    }


def _made(entry: "Entry") -> dict[str, Any]:
    return {
        "revision": entry.revision,
        "at": entry.at_ms,
        "author": entry.author,
        "change": entry.kind,
        "of": entry.about,
        "why": entry.why,
    }


def _rule(one: "RuleSaid") -> dict[str, Any]:
    verdict = one.verdict
    return {
        "rule": verdict.rule.id,
        "version": verdict.rule.version,
        "mode": verdict.rule.mode,
        "outcome": verdict.rule.outcome,
        "when": condition_text(verdict.rule) if verdict.rule.pattern else verdict.rule.when,
        "said": verdict.said,
        "why": verdict.why,
        "values": verdict.values,
        "unknown": list(verdict.unknown),
        "otherwise": verdict.otherwise,
        "events": [dict(event) for event in verdict.events],
        "made": None if one.maker is None else _made(one.maker),
    }


def tell(page: "Page") -> None:
    """Print the page."""
    print("\n".join(_head(page)))
    for hit in page.lists:
        who = f" ({', '.join(hit.entries)})" if hit.entries else ""
        print(f"\nlist {hit.name}{who}: {hit.outcome or 'hit'}{_because(hit.reason)}")
    _tell_rules(page)
    if page.scoring.contributions:
        print()
        moved = [(one["text"], f"{one['contribution']:+.2f}") for one in page.scoring.contributions]
        print_table(("what moved the score", "log-odds"), moved)
    others = page.found.others
    if others is not None:
        print(f"\n{_compared(page)}")
    for what, seen in (("field", page.fields), ("feature", page.features)):
        _tell_values(what, seen, beside=others is not None and bool(others.payments))
    for note in page.notes:
        print(f"\n{note}")


def _head(page: "Page") -> list[str]:
    found, decision = page.found, page.found.decision
    by = " or ".join(one.replace(":", " ") for one in page.decided_by)
    nothing = decision["model"] is None and page.decided_by == ("model",)
    who = "nothing said otherwise" if nothing else f"by {by}" if by else "by whom isn't known"
    again = f"; there {found.again} time{'s' * (found.again != 1)} more" if found.again else ""
    head = [f"{decision['transaction_id']}: {decision['outcome']}, {who}", f"found in {found.place}{again}"]
    times = f"made {time_text(decision['event_time'])}"
    if decision["decided_at"] is not None:
        stages = ", ".join(f"{stage} {ms:g}" for stage, ms in decision["timing_ms"].items())
        times += f", decided {time_text(decision['decided_at'])}, {decision['latency_ms']:g} ms behind its decoding ({stages})"
    head.append(times)
    if decision["model"] is not None:
        head.append(_score(page))
    if page.made is not None:
        maker = page.made.maker
        head.append(f"revision {decision['revision']}{': the pipeline file alone' if not page.made.entries else ''}")
        if maker is not None:
            head[-1] += f": {_change(maker)}"
    head += [f"{what}: {', '.join(decision[what])}" for what in ("degraded", "approximate") if decision[what]]
    return head + ["it came late"] * bool(decision["late"])


def _score(page: "Page") -> str:
    decision, scoring = page.found.decision, page.scoring
    if decision["score"] is None:
        return f"{decision['model']} gave no score"
    text = f"score {decision['score']:.4g} (raw {decision['raw_score']:.4g}) by {decision['model']}"
    if scoring.outcome is None:
        return text
    limits = [
        f"{name} from {limit:.4g}"
        for name, limit in (("review", scoring.review), ("block", scoring.block))
        if limit is not None
    ]
    return f"{text}: {OUTCOMES[scoring.outcome]} ({', '.join(limits) or 'it has no thresholds'})"


def _tell_rules(page: "Page") -> None:
    quiet = [one for one in page.rules if one.verdict.said in {"false", "not asked"}]
    for one in (*(one for one in page.rules if one not in quiet), *quiet[:_FALSE_SHOWN]):
        print()
        print("\n".join(_told(one)))
    if len(quiet) > _FALSE_SHOWN:
        print(f"\n{len(quiet) - _FALSE_SHOWN} more rules said nothing: --json has them all")
    if page.made is None:
        for kind in ("rules", "shadow"):
            for said in page.found.decision[kind]:
                if not said["id"].startswith("list:"):
                    outcome = f": {said['outcome']}" if "outcome" in said else ""
                    shadow = "in the shadow " if kind == "shadow" else ""
                    print(f"\nrule {said['id']} {shadow}fires{outcome}{_because(said.get('reason', ''))}")
        for name, missing in page.found.decision["not_evaluated"].items():
            print(f"\nrule {name} can't be decided{_because(', '.join(missing) and 'lacks ' + ', '.join(missing))}")


def _told(one: "RuleSaid") -> list[str]:
    verdict, rule = one.verdict, one.verdict.rule
    shadow = " in the shadow" if rule.mode == "shadow" else ""
    said = {"false": "is false", "not asked": "isn't asked"}.get(verdict.said, verdict.said)
    outcome = f": {rule.outcome}" if verdict.said == "fires" else ""
    what = "rule" if rule.pattern is None else "sequence"
    lines = [f"{what} {rule.id}@{rule.version} {said}{shadow}{outcome}{_because(verdict.why)}"]
    lines.append(f"  when  {condition_text(rule)}")
    lines += [
        f"  step  {event['step']}: {event['event']} at {time_text(event['time'])}, arrival {event['arrival']}"
        for event in verdict.events
    ]
    values = [f"{name} = {value}" for name, value in verdict.values.items()]
    values += [f"{name} isn't known" for name in verdict.unknown]
    if values:
        lines.append(f"  with  {', '.join(values)}")
    if one.maker is not None:
        lines.append(f"  from  revision {one.maker.revision}: {_change(one.maker)}")
    return lines + [f"  but   {verdict.otherwise}"] * bool(verdict.otherwise)


def _change(entry: "Entry") -> str:
    about = f" {entry.about}" if entry.about else ""
    return f"{entry.kind}{about} by {entry.author or '?'} at {time_text(entry.at_ms)}{_because(entry.why)}"


def _because(text: str) -> str:
    return f": {text}" if text else ""


def _compared(page: "Page") -> str:
    others = page.found.others
    assert others is not None
    who = f"{others.entity} {others.key}".replace("\x1f", " + ")
    if not others.payments:
        return f"no earlier payment of {who} in {others.looked}: what is usual isn't known"
    times = [one.event.time_ms for one in others.payments]
    count = len(times)
    features = sum(one.features is not None for one in others.payments)
    told = f"beside {count} earlier payment{'s' * (count != 1)} of {who}, from {time_text(min(times))} to {time_text(max(times))}"
    return f"{told}, {features} of them with features (in {others.looked})"


def _tell_values(what: str, seen: Sequence["Seen"], *, beside: bool) -> None:
    known = [one for one in seen if one.known]
    if known:
        print()
        if beside:
            rows = [(one.name, _value(one), *_usual(one.usual, one.type)) for one in known]
            print_table((what, "value", "usual", "from", "to", "of"), rows)
        else:
            print_table((what, "value"), [(one.name, _value(one)) for one in known])
    unknown = [one.name for one in seen if not one.known]
    if unknown:
        print(f"\n{what}s whose values aren't known: {', '.join(unknown)}")


def _value(one: "Seen") -> str:
    return shown(one.value, one.type)


def _usual(usual: "Usual | None", kind: Any) -> tuple[str, str, str, str]:
    if usual is None:
        return "", "", "", ""
    of = f"{usual.count}" + (f", {usual.missing} missing" if usual.missing else "")
    if usual.median is not None:
        return shown(usual.median, "number"), shown(usual.least, "number"), shown(usual.greatest, "number"), of
    if usual.count:
        return f"{shown(usual.most_frequent, kind)} ({usual.times}×)", "", "", of
    return "", "", "", of

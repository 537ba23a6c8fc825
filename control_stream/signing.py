"""Who may change what: signatures of changes, and the policy file that says whose count for what.

Signed are the control topic's name, a line end, and the change without its `signatures` as canonical JSON: keys sorted, no
spaces, UTF-8. A change that somebody records is of no use on another pipeline's topic, and on its own it is a duplicate,
because the id is signed too.

The log is read anew from its beginning by a job without state, so a policy speaks of revisions: what stood in the log before
there was a policy needs no signature, and a key that is taken out of use counts up to a revision.
"""

import base64
import binascii
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from control_stream import ed25519
from control_stream.changes import CHANGES, Change, RuleMode, RulePut
from control_stream.live_set import LiveSet
from control_stream.reading import Fields
from control_stream.refusal import Refused
from mitra.document import join_path, read_document
from mitra.errors import Problem, ProblemsError
from rules.problems import closest

Verify = Callable[[bytes, bytes, bytes], bool]

LIVE_BLOCK = "live_block"
"""Stands in a policy for a rule or sequence that blocks going live, by its `put` or its `mode`."""

_NAME = 64
_MOST = 1_000


def canonical(change: Mapping[str, object], topic: str) -> bytes:
    """Return the bytes of a change on a topic that are signed."""
    signed = {key: value for key, value in change.items() if key != "signatures"}
    return f"{topic}\n{json.dumps(signed, sort_keys=True, separators=(',', ':'), ensure_ascii=False)}".encode()


def signed(change: Mapping[str, object], topic: str, key: str, private: bytes) -> dict[str, object]:
    """Return a change with one more signature, by the private half (32 raw bytes) of the key of that name."""
    signature = base64.b64encode(ed25519.sign(private, canonical(change, topic))).decode()
    before = change.get("signatures")
    return {
        **change,
        "signatures": [*(before if isinstance(before, list) else []), {"key": key, "signature": signature}],
    }


@dataclass(frozen=True, slots=True)
class Key:
    """A public key, whose it is, and the last revision that its signatures count for, if it is out of use."""

    author: str
    public: bytes
    to_revision: int | None = None


@dataclass(frozen=True)
class Policy:
    """Keys by name; for each author the changes that are theirs to make; and the changes that need two authors.

    Changes are named by kind, or by a pattern: `list.*`, `*`. `second` may name LIVE_BLOCK as well.
    """

    keys: Mapping[str, Key]
    may: Mapping[str, tuple[str, ...]]
    second: tuple[str, ...] = ()
    from_revision: int = 1
    topic: str = ""
    verify: Verify = ed25519.verify

    def authorize(self, change: Change, live: LiveSet, revision: int) -> None:
        """Raise Refused unless the change is signed by its author, who may make it, and by a second where one is needed."""
        if revision < self.from_revision:
            return
        if not change.signatures:
            raise Refused(
                "signatures", "the change isn't signed", "sign it with a key that the policy names: --sign KEYFILE"
            )
        message = canonical(change.signed, self.topic)
        signers = [self._signer(place, change, message, revision) for place in range(len(change.signatures))]
        if change.author not in signers:
            raise Refused(
                "signatures", f'"{change.author}" is the author, signed by {", ".join(signers)}', "its author signs"
            )
        for signer in signers:
            if not _named(self.may.get(signer, ()), [change.kind]):
                raise Refused("author", f'"{signer}" may not {change.kind}', _who(self.may, change.kind))
        if len(set(signers)) < 2 and _named(self.second, _names(change, live)):
            others = {author: kinds for author, kinds in self.may.items() if author != change.author}
            hint = f"{_who(others, change.kind)}; `mitra control sign` adds it to a file written with --output"
            raise Refused("signatures", "the change needs the signature of a second person", hint)

    def named(self, public: bytes) -> str | None:
        """Return the name of a public key, one in use before one that isn't; None if it is none of the policy's."""
        names = [name for name, key in self.keys.items() if key.public == public]
        return min(names, key=lambda name: self.keys[name].to_revision is not None, default=None)

    def _signer(self, place: int, change: Change, message: bytes, revision: int) -> str:
        name, signature = change.signatures[place]
        key = self.keys.get(name)
        if key is None:
            hint = closest(name, self.keys)
            raise Refused(f"signatures[{place}].key", f'"{name}" is no key of the policy', hint)
        if not self.verify(key.public, message, _base64(signature) or b""):
            hint = "sign the change as it is sent, for this topic: every key and value, but for signatures"
            raise Refused(f"signatures[{place}].signature", f'is not by the key "{name}"', hint)
        if key.to_revision is not None and revision > key.to_revision:
            reason = f'the key "{name}" counts up to revision {key.to_revision}, and this is {revision}'
            raise Refused(f"signatures[{place}].key", reason, "sign with a key that is in use")
        return key.author


def read_policy(text: str, name: str, topic: str = "", verify: Verify = ed25519.verify) -> Policy:
    """Return the policy in a YAML text, for changes on a topic. Raises ProblemsError with all that is wrong with it."""
    document = read_document(text)
    problems = list(document.problems)
    value = document.value if isinstance(document.value, dict) else {}
    fields = Fields(value, "", problems)
    keys = {key: _key(inner, problems) for key, inner in _mapping(fields, "keys", problems)}
    authors = {key.author for key in keys.values()}
    may: dict[str, tuple[str, ...]] = {}
    given = fields.raw("may")
    for author, kinds in given.items() if isinstance(given, dict) else ():
        path = join_path("may", author)
        may[author] = _kinds(kinds, path, CHANGES, problems)
        if author not in authors:
            problems.append(Problem(path, f'"{author}" has no key', closest(author, authors)))
    if not may:
        fields.wrong("may", "authors, each with a list of the changes that are theirs to make")
    second = _kinds(fields.raw("second_signature") or [], "second_signature", (*CHANGES, LIVE_BLOCK), problems)
    from_revision = _revision(fields, "from_revision")
    fields.close()
    if problems:
        placed = [
            Problem(one.path, one.message, one.hint, one.line or document.lines.get(one.path)) for one in problems
        ]
        raise ProblemsError(name, placed)
    return Policy(keys, may, second, from_revision or 1, topic, verify)


def _mapping(fields: Fields, key: str, problems: list[Problem]) -> Iterable[tuple[str, Fields]]:
    value = fields.raw(key)
    if not isinstance(value, dict) or not value:
        fields.wrong(key, "names of keys, each with its author and public key")
        return
    for name, inner in value.items():
        path = join_path(key, name)
        if isinstance(inner, dict):
            yield name, Fields(inner, path, problems)
        else:
            problems.append(Problem(path, "allowed: author and public"))


def _key(fields: Fields, problems: list[Problem]) -> Key:
    author, public = fields.text("author", most=_MOST), fields.text("public", most=_MOST)
    found = _base64(public)
    if public and (found is None or len(found) != ed25519.KEY_BYTES):
        problems.append(
            Problem(fields.at("public"), f"allowed: the {ed25519.KEY_BYTES} bytes of an Ed25519 key in base64")
        )
    to_revision = _revision(fields, "to_revision")
    fields.close()
    return Key(author, found or b"", to_revision)


def _revision(fields: Fields, key: str) -> int | None:
    value = fields.raw(key)
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0):
        return value
    fields.wrong(key, "a revision: 0, 1, 2, …")
    return None


def _kinds(value: object, path: str, allowed: tuple[str, ...], problems: list[Problem]) -> tuple[str, ...]:
    kinds = value if isinstance(value, list) else [value]
    for kind in kinds:
        if not isinstance(kind, str) or not any(fnmatchcase(one, kind) for one in allowed):
            shown = str(kind)[:_NAME]
            problems.append(
                Problem(path, f'"{shown}" names no change; allowed: {", ".join(allowed)}', closest(shown, allowed))
            )
    return tuple(map(str, kinds))


def _names(change: Change, live: LiveSet) -> list[str]:
    body, names = change.body, [change.kind]
    rule = body.rule if isinstance(body, RulePut) else live.rules.get(body.rule) if isinstance(body, RuleMode) else None
    mode = body.mode if isinstance(body, RuleMode) else rule.mode if rule is not None else ""
    if rule is not None and rule.outcome == "block" and mode == "live":
        names.append(LIVE_BLOCK)
    return names


def _named(patterns: Iterable[str], names: list[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns for name in names)


def _who(may: Mapping[str, tuple[str, ...]], kind: str) -> str:
    able = sorted(author for author, kinds in may.items() if _named(kinds, [kind]))
    return f"who may: {', '.join(able)}" if able else "nobody may: change the policy"


def _base64(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None

"""Private keys in files, and changes signed with them."""

import base64
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from control_stream import Policy, ed25519
from control_stream.signing import signed
from mitra.errors import MitraError
from mitra.pipeline import Pipeline

_MOST_BYTES = 10_000
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key that a policy knows: its name there, whose it is, and the topic that it signs for."""

    name: str
    author: str
    topic: str
    private: bytes

    def sign(self, data: bytes) -> bytes:
        """Return a change's bytes with this key's signature; unchanged if it is signed with this key already."""
        change = _decode(data)
        before = change.get("signatures", ())
        if any(one["key"] == self.name for one in before):
            return data
        return _encode(signed(change, self.topic, self.name, self.private))


def write_new_key(path: Path) -> bytes:
    """Write a new private key that its owner alone can read, and return its public half. What is there stays."""
    pem = ed25519.new_private_pem()
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise MitraError(f"the file {str(path)!r} is there already, and may hold a key: name another") from None
    with os.fdopen(file, "wb") as opened:
        opened.write(pem)
    return ed25519.public_of(ed25519.private_of_pem(pem) or b"")


def read_key(path: Path) -> bytes:
    """Return the private key in a file. Raises MitraError if there is none, or others than its owner can read it."""
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            pem = file.read(_MOST_BYTES)
    except OSError as error:
        raise MitraError(f"the key {str(path)!r} cannot be read: {error.strerror or error}") from None
    if mode & _OTHERS:
        raise MitraError(f"the key {str(path)!r} has mode={mode:04o}: others can read it; `chmod 600` it")
    private = ed25519.private_of_pem(pem)
    if private is None:
        raise MitraError(
            f"{str(path)!r} holds no private Ed25519 key in PEM without a password; `mitra control keygen` makes one"
        )
    return private


def key_of(pipeline: Pipeline, private: bytes) -> SigningKey:
    """Return a private key as the pipeline's policy knows it. Raises MitraError if it doesn't."""
    policy = pipeline.policy()
    if policy is None:
        raise MitraError("the pipeline has no control.policy, so nobody would check a signature; leave --sign out")
    public = ed25519.public_of(private)
    name = policy.named(public)
    if name is None:
        shown = base64.b64encode(public).decode()
        raise MitraError(f"the policy has no key with public={shown}; enter it there, or sign with one that it has")
    return SigningKey(name, policy.keys[name].author, pipeline.topics.control, private)


def signers_of(change: Mapping[str, object], policy: Policy) -> list[str]:
    """Return whose signatures a change carries, as it says; whether they are theirs is not checked."""
    signatures = change.get("signatures")
    named = [str(one.get("key")) for one in signatures if isinstance(one, dict)] if isinstance(signatures, list) else []
    return [policy.keys[name].author if name in policy.keys else name for name in named]


def policy_line(name: str, author: str, public: bytes) -> str:
    """Return the line of a policy's `keys` that names a key."""
    return f"{name}: {{author: {author}, public: {base64.b64encode(public).decode()}}}"

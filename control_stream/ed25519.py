"""Ed25519 by the package `cryptography`, imported here alone and only where changes are signed or checked."""

from importlib import import_module
from typing import Any

from mitra.errors import MitraError

KEY_BYTES = 32


class SigningUnavailableError(MitraError):
    """The package that signs isn't installed."""


def library() -> Any:
    """Return the module that signs. Raises SigningUnavailableError where there is none."""
    try:
        return import_module("cryptography.hazmat.primitives.asymmetric.ed25519")
    except ImportError:
        msg = "signed changes need the package cryptography, which is not installed; install it beside mitra"
        raise SigningUnavailableError(msg) from None


def verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Tell whether a signature of a message is by the private half of a key; both are raw bytes."""
    found = library()
    invalid = import_module("cryptography.exceptions").InvalidSignature
    try:
        found.Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (invalid, ValueError):
        return False
    return True


def sign(private: bytes, message: bytes) -> bytes:
    """Return the signature of a message by a private key, its 32 raw bytes."""
    signature: bytes = library().Ed25519PrivateKey.from_private_bytes(private).sign(message)
    return signature

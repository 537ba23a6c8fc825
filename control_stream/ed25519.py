"""Ed25519 by the package `cryptography`, loaded only where changes are signed or checked. Keys are raw bytes here, files PEM."""

KEY_BYTES = 32


def verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Tell whether a signature of a message is by the private half of a key."""
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - the library takes 25 ms to load
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415

    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def sign(private: bytes, message: bytes) -> bytes:
    """Return the signature of a message by a private key."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415

    return Ed25519PrivateKey.from_private_bytes(private).sign(message)


def public_of(private: bytes) -> bytes:
    """Return the public half of a private key."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415

    return Ed25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def new_private_pem() -> bytes:
    """Return a new private key as a file holds it: PKCS #8 in PEM, as `openssl genpkey -algorithm ed25519` writes it too."""
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415

    return Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def private_of_pem(pem: bytes) -> bytes | None:
    """Return the private key in a file's bytes; None if they hold no Ed25519 key, or one that a password locks."""
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415

    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    return key.private_bytes_raw() if isinstance(key, Ed25519PrivateKey) else None

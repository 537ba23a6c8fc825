"""`mitra control keygen`, `sign` and `send`: changes that several people sign before they are sent."""

import argparse
from pathlib import Path
from typing import Any

from mitra.cli.changing import KEY_VARIABLE, Session, private_key, send_held, user_name
from mitra.cli.console import print_json, print_table
from mitra.errors import MitraError
from mitra.pipeline import load_pipeline


def make_key(args: argparse.Namespace) -> int:
    """Write a private key, and print its line for the policy."""
    from control_stream.reading import NAME, NAME_ALLOWED  # noqa: PLC0415 - the library is loaded where it signs
    from mitra.control.signing import policy_line, write_new_key  # noqa: PLC0415

    path = Path(args.file)
    name, author = args.name or path.stem, args.author or user_name()
    if not NAME.fullmatch(name):
        raise MitraError(f"the key's name={name} is none; allowed: {NAME_ALLOWED}; give it with --name")
    public = write_new_key(path)
    print(policy_line(name, author, public))
    return 0


def sign_file(args: argparse.Namespace) -> int:
    """Add a signature to each change in a file."""
    from mitra.control.change_file import read_changes, rewrite_changes  # noqa: PLC0415
    from mitra.control.replay import context_of  # noqa: PLC0415
    from mitra.control.signing import key_of  # noqa: PLC0415

    private = private_key(args)
    if private is None:
        raise MitraError(f"no key is given; name one with --sign, or in {KEY_VARIABLE}")
    pipeline, path = load_pipeline(args.pipeline), Path(args.file)
    key = key_of(pipeline, private)
    changes = read_changes(path, context_of(pipeline))
    signed = [key.sign(one.data) for one in changes]
    rewrite_changes(path, signed)
    documents = [_document(data, pipeline.policy()) for data in signed]
    if args.json:
        print_json({"file": args.file, "key": key.name, "author": key.author, "changes": documents})
        return 0
    rows = [(one["change"], one["of"], one["author"], one["reason"], ", ".join(one["signed"])) for one in documents]
    print_table(("change", "of", "author", "why", "signed by"), rows, title=f"{args.file}, signed with {key.name}")
    return 0


def _document(data: bytes, policy: Any) -> dict[str, Any]:
    from mitra.control.replay import about_of, said_by  # noqa: PLC0415
    from mitra.control.signing import signers_of  # noqa: PLC0415

    said = said_by(data)
    return {
        "change": said["change"],
        "of": about_of(said),
        "id": said["id"],
        "author": said["author"],
        "reason": said.get("reason", ""),
        "signed": signers_of(said, policy),
    }


def send_file(args: argparse.Namespace) -> int:
    """Send the changes in a file."""
    from mitra.control.change_file import read_changes  # noqa: PLC0415
    from mitra.control.changes import hold  # noqa: PLC0415

    def planned(session: Session) -> Any:
        return hold(session.replay.fork(), read_changes(Path(args.file), session.context))

    return send_held(args, planned)

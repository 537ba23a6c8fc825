"""`mitra sequences …`: sequences of a running job, read from files, changed and shown."""

import argparse

from mitra.cli.rules import add_rule_actions


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's own commands."""
    add_rule_actions(parser, "sequence")


def run(args: argparse.Namespace) -> int:
    """Do what was asked for."""
    done: int = args.act(args)
    return done

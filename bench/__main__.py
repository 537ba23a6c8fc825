"""The measurements: `python -m bench` runs them all, writes bench/results/ and docs/performance.md.

A real Kafka, the job and the load share this machine. Histories are filled by the job itself before anything is measured.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from bench.report import commit, machine, workload, write, write_page
from bench.rig import Rig
from bench.scenarios import QUICK, SCENARIOS, Lengths
from mitra import flink_conf

PRELOAD, QUICK_PRELOAD = 1_000_000, 100_000
_TOLD = (
    "state.backend.type",
    "execution.checkpointing.interval",
    "taskmanager.memory.managed.size",
    "taskmanager.memory.task.heap.size",
)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        msg = f"{text!r} is not NAME=VALUE"
        raise argparse.ArgumentTypeError(msg)
    return name, value


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__, allow_abbrev=False)
    parser.add_argument("--quick", action="store_true", help="short runs, few histories: to see that all works")
    parser.add_argument("--only", metavar="NAMES", help=f"some of {','.join(SCENARIOS)}")
    parser.add_argument("--seconds", type=float, metavar="N", help="of a run at a fixed rate, behind its warm-up (300)")
    parser.add_argument("--preload", type=int, metavar="N", help=f"payments in the histories ({PRELOAD:,})")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the filled histories here, or start from them")
    parser.add_argument(
        "--job", type=_pair, action="append", default=[], metavar="NAME=VALUE", help="such as batch_ms=2"
    )
    parser.add_argument("--set", type=_pair, action="append", default=[], metavar="KEY=VALUE", help="a Flink setting")
    parser.add_argument("--log", action="store_true", help="the job keeps a log")
    parser.add_argument("--no-write", action="store_true", help="print figures, write no files")
    parser.add_argument("--report", action="store_true", help="only write docs/performance.md anew")
    args = parser.parse_args(arguments)
    args.only = (
        [name for name, one in SCENARIOS.items() if args.log or not one.reads_log]
        if args.only is None
        else args.only.split(",")
    )
    unknown = [name for name in args.only if name not in SCENARIOS]
    if unknown:
        parser.error(f"no scenario {', '.join(unknown)}; there are {', '.join(SCENARIOS)}")
    if args.seconds is not None and args.seconds <= 0:
        parser.error(f"--seconds={args.seconds:g} measures nothing; give more than 0")
    if not args.log and any(SCENARIOS[name].reads_log for name in args.only):
        parser.error(
            f"{', '.join(name for name in args.only if SCENARIOS[name].reads_log)} reads the job's log: add --log"
        )
    return args


def main() -> int:
    """Run the scenarios; 0 if every payment was decided, whether or not the bars are met."""
    args = parse()
    if args.report:
        write_page()
        return 0
    lengths = QUICK if args.quick else Lengths()
    if args.seconds is not None:
        lengths = replace(lengths, fixed_s=args.seconds)
    preload = args.preload if args.preload is not None else QUICK_PRELOAD if args.quick else PRELOAD
    settings = dict(args.set)
    lost = 0
    with Rig(preload=preload, job=dict(args.job), settings=settings, keep=args.keep, log=args.log) as rig:
        flink = {**flink_conf.read(), **settings}
        job = rig.pipeline.job
        about = {
            "command": "python -m bench "
            + " ".join("DIR" if word == str(args.keep) else word for word in sys.argv[1:]),
            "commit": commit(),
            "machine": machine(),
            "settings": {
                "buckets": job.buckets,
                "lanes": job.lanes,
                "batch_ms": job.batch_ms,
                "cache_mb": job.cache_mb,
                "partitions": rig.pipeline.kafka_shape.partitions,
                **{name: flink[name] for name in _TOLD},
                **settings,
            },
            "workload": workload({name: told for name, told in rig.preloaded.items() if name != "checkpoint"}),
        }
        if rig.preloaded:
            print(f"histories: {rig.preloaded}", flush=True)
        for name in args.only:
            scenario = SCENARIOS[name]
            print(f"{name}: {scenario.title} …", flush=True)
            figures = scenario.run(rig, lengths)
            lost += figures.get("sent", 0) - figures.get("decided", 0)
            for bar in scenario.bars:
                print(f"  {bar.text}: {bar.found(figures)} {'met' if bar.met(figures) else 'MISSED'}")
            print("  " + ", ".join(f"{key}={value}" for key, value in figures.items() if key not in ("usage", "tried")))
            print(f"  usage={figures.get('usage')}", flush=True)
            if not args.no_write:
                write(name, figures, about)
        if not args.no_write:
            write_page()
    if lost:
        print(f"{lost:,} payments without a decision", file=sys.stderr)
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())

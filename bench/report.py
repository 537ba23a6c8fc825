"""Results: one JSON file for each run of a scenario, and the table in docs/performance.md made of the newest of each."""

import json
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

from bench.scenarios import SCENARIOS, Figures
from bench.workload import CUSTOMERS, DEVICES, HOT_SHARE, OUT_OF_ORDER, TERMINALS, ZIPF_EXPONENT, features

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "bench" / "results"
PAGE = ROOT / "docs" / "performance.md"
_BEGIN, _END = "<!-- figures: python -m bench writes this part -->", "<!-- end of figures -->"


def machine() -> dict[str, Any]:
    """Return what this machine is."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in _read("/proc/cpuinfo").splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    return {
        "cpu": model,
        "cores": psutil.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / (1 << 30), 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "flink": version("apache-flink"),
        "xgboost": version("xgboost-cpu"),
    }


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError:
        return ""


def commit() -> str:
    """Return the commit that is measured, with a + if files differ from it."""

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()

    return git("rev-parse", "--short=10", "HEAD") + (
        "+" if git("status", "--porcelain", "--untracked-files=no") else ""
    )


def workload(preload: dict[str, Any]) -> dict[str, Any]:
    """Return what the job is given to do."""
    return {
        "features": len(features()),
        "model": "200 trees of depth 6 over all features",
        "customers": CUSTOMERS,
        "zipf_exponent": ZIPF_EXPONENT,
        "terminals": TERMINALS,
        "devices": DEVICES,
        "out_of_order": OUT_OF_ORDER,
        "hot_share": HOT_SHARE,
        "preloaded": preload,
    }


def write(name: str, figures: Figures, about: dict[str, Any]) -> Path:
    """Write the result of a scenario and return its path."""
    moment = datetime.now(tz=UTC)
    scenario = SCENARIOS[name]
    bars = [{"bar": bar.text, "found": bar.found(figures), "met": bar.met(figures)} for bar in scenario.bars]
    result = {"scenario": name, "at": moment.isoformat(timespec="seconds"), **about, "bars": bars, "figures": figures}
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{moment:%Y-%m-%d}-{name}.json"
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return path


def newest() -> dict[str, dict[str, Any]]:
    """Return the newest result of each scenario."""
    found = {}
    for name in SCENARIOS:
        paths = sorted(RESULTS.glob(f"????-??-??-{name}.json"))
        if paths:
            found[name] = json.loads(paths[-1].read_text(encoding="utf-8"))
    return found


def write_page() -> None:
    """Put the table of the newest results into docs/performance.md; what people wrote around it stays."""
    text = PAGE.read_text(encoding="utf-8") if PAGE.exists() else f"# Performance\n\n{_BEGIN}\n{_END}\n"
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(f"{before}{_BEGIN}\n{table(newest())}{_END}{after}", encoding="utf-8")


def table(results: dict[str, dict[str, Any]]) -> str:
    """Return the results as Markdown: machine and workload, then a table of figures with their bars and commands."""
    if not results:
        return "\n"
    last = max(results.values(), key=lambda result: result["at"])
    lines = ["", "| scenario | figures | bars | command |", "| --- | --- | --- | --- |"]
    for name, result in results.items():
        bars = "<br>".join(f"{bar['bar']}: {'met' if bar['met'] else '**missed**'}" for bar in result["bars"])
        about = f"`{result['command']}` at {result['commit']}, {result['at'][:10]}"
        lines.append(f"| {SCENARIOS[name].title} | {'<br>'.join(_figures(result['figures']))} | {bars} | {about} |")
    told = last["machine"]
    lines += [
        "",
        f"Machine: {_pairs(told)}; load, broker and job share it.",
        "",
        f"Workload: {_pairs(last['workload'])}.",
        "",
        f"Settings: {_pairs(last['settings'])}.",
        "",
    ]
    return "\n".join(lines) + "\n"


def _pairs(values: dict[str, Any]) -> str:
    return ", ".join(f"{name} {_pairs(v) if isinstance(v, dict) else v}" for name, v in values.items())


def _figures(figures: Figures) -> list[str]:
    lines = []
    if "task_managers" in figures:
        lines.append(f"{figures['task_managers']} TaskManagers with one slot each")
    if figures.get("rate"):
        lines.append(
            f"{figures['rate']:,} a second" + (f" for {figures['seconds']:g} s" if "seconds" in figures else "")
        )
    if figures.get("latency_ms"):
        lines.append("ms: " + ", ".join(f"{name} {value:g}" for name, value in figures["latency_ms"].items()))
    if figures.get("alone_ms"):
        alone = ", ".join(f"{name} {value:g}" for name, value in figures["alone_ms"].items())
        lines += [f"ms without it: {alone}", f"retrained {figures['rounds']} times and a part"]
    if figures.get("cost_ratio"):
        lines.append(
            f"drained at {figures['drain']['rate']:,}, evenly spread at {figures['even_drain']['rate']:,} a second"
        )
    if figures.get("push_ms"):
        pushed = ", ".join(f"{name} {value:g}" for name, value in figures["push_ms"].items())
        lines.append(f"{figures['pushes']} pushes, ms to the last ack: {pushed}")
    if figures.get("push_steps_ms"):
        steps = ", ".join(f"{status} {step['p50']:g}" for status, step in figures["push_steps_ms"].items())
        lines.append(f"of a push, ms at the median to the last part: {steps}")
    if "sent" in figures:
        lines.append(f"sent {figures['sent']:,}, decided {figures['decided']:,}, duplicates {figures['duplicates']:,}")
    if "usage" in figures:
        cores = ", ".join(f"{name} {usage['cores']:.2f}" for name, usage in figures["usage"].items())
        memory = ", ".join(f"{name} {usage['peak_mb']:,}" for name, usage in figures["usage"].items())
        lines += [f"cores: {cores}", f"peak MB: {memory}"]
    if figures.get("cpu_us_per_payment"):
        lines.append("CPU µs a payment: " + ", ".join(f"{k} {v:g}" for k, v in figures["cpu_us_per_payment"].items()))
    if figures.get("state_bytes"):
        lines.append(f"state {figures['state_bytes'] / 1e6:,.0f} MB")
    return lines

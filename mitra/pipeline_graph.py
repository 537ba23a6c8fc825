"""The pipeline file's section `graph`: what is a node, what a payment links, and where the service is."""

from pathlib import Path

from mitra.duration import EXAMPLES, parse_duration_ms
from mitra.graph.features import MAX_TYPES
from mitra.graph.settings import GraphNode, GraphSettings, Transport
from mitra.pipeline_events import NAME, NAME_ALLOWED
from mitra.schema import EventType
from mitra.sections import Section, did_you_mean, found

_ADDRESS = r"[^\s,:/]+:\d{1,5}|\[[0-9a-fA-F:]+\]:\d{1,5}"
_YEAR_MS = 366 * 86_400_000
_WINDOWS_MS = (86_400_000, 7 * 86_400_000)
_MOST_WINDOWS = 8


def read_graph(root: Section, events: tuple[EventType, ...], directory: Path) -> GraphSettings | None:
    """Read the section `graph` of the file's root; None if the file has none."""
    if "graph" not in root:
        root.raw("graph")
        return None
    section = root.section("graph")
    address = section.text("address", pattern=_ADDRESS, allowed="host:port of the graph service")
    decided = next((event for event in events if event.decided), None)
    nodes = _nodes(section.section("nodes", required=True), decided)
    links = _links(section, [node.name for node in nodes])
    windows_ms = _windows(section)
    timeout_ms = section.duration_ms("timeout", 40, 1, 10_000)
    deadline_ms = section.duration_ms("deadline", 120, 1, 60_000)
    if "timeout" in section and deadline_ms <= timeout_ms:
        section.report.add(
            section.at("deadline"),
            f"is {deadline_ms} ms, and one call may take {timeout_ms} ms; allowed: more than graph.timeout",
        )
    in_flight = section.integer("in_flight", 1_000, 1, 100_000)
    cache_ms = section.duration_ms("cache_age", 2_000, 0, 3_600_000)
    cache_nodes = section.integer("cache_nodes", 20_000, 0, 10_000_000)
    transport = Transport(address, _file(section, "ca_file", directory), _file(section, "token_file", directory))
    section.close()
    return GraphSettings(transport, nodes, links, windows_ms, timeout_ms, deadline_ms, in_flight, cache_ms, cache_nodes)


def _nodes(section: Section, decided: EventType | None) -> tuple[GraphNode, ...]:
    nodes = []
    for name in section:
        value = section.raw(name)
        if isinstance(value, dict):
            inner = section.section(name)
            field, kind = inner.text("field"), inner.text("type", name, pattern=NAME.pattern, allowed=NAME_ALLOWED)
            inner.close()
            path = inner.at("field")
        else:
            field, kind, path = (
                section.text(name, allowed="the name of a field, or {field: …, type: …}"),
                name,
                section.at(name),
            )
        if not NAME.fullmatch(name):
            section.report.add(section.at(name), f"found {found(name)} as a name; allowed: {NAME_ALLOWED}")
        fields = {} if decided is None else decided.by_name
        if decided is not None and field and field not in fields:
            section.report.add(
                path, f"found {found(field)}; allowed: a field of {decided.name}", did_you_mean(field, fields)
            )
        nodes.append(GraphNode(name, field, kind or name))
    if len({node.type for node in nodes}) > MAX_TYPES:
        section.report.add(section.path, f"has more than {MAX_TYPES} types of nodes")
    return tuple(nodes)


def _links(section: Section, nodes: list[str]) -> tuple[tuple[str, str], ...]:
    allowed = "a list of pairs of nodes, like [[customer, device]]"
    value = section.raw("links")
    if not isinstance(value, list) or not value:
        section.wrong("links", value, allowed)
        return ()
    links = []
    for place, pair in enumerate(value):
        path = f"links[{place}]"
        if not (isinstance(pair, list) and len(pair) == 2 and all(isinstance(one, str) for one in pair)):
            section.wrong(path, pair, allowed)
            continue
        unknown = [one for one in pair if one not in nodes]
        for one in unknown:
            section.wrong(path, one, f"the name of a node: {', '.join(nodes)}", did_you_mean(one, nodes))
        if not unknown and pair[0] == pair[1]:
            section.wrong(path, f"{pair[0]}, {pair[1]}", "two different nodes")
        elif not unknown:
            links.append((pair[0], pair[1]))
    return tuple(links)


def _windows(section: Section) -> tuple[int, ...]:
    if "windows" not in section:
        section.raw("windows")
        return _WINDOWS_MS
    windows = []
    for text in section.texts("windows", "a list of durations, like [1d, 7d]"):
        window = parse_duration_ms(text)
        if window is None or window % 1_000 or not 1_000 <= window <= _YEAR_MS:
            section.wrong("windows", text, f"{EXAMPLES}, from 1s to 366d")
        else:
            windows.append(window)
    if len(windows) > _MOST_WINDOWS:
        section.wrong("windows", windows, f"up to {_MOST_WINDOWS} of them")
    return tuple(dict.fromkeys(windows))


def _file(section: Section, key: str, directory: Path) -> str | None:
    if key not in section:
        section.raw(key)
        return None
    name = section.text(key, allowed="a file, from the pipeline's folder")
    return str((directory / name).absolute()) if name else None

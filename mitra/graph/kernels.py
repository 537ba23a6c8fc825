"""What is computed over a graph's columns: chaining new links, and measuring the surroundings of nodes as of a time.

Compiled by numba and without the interpreter's lock. The order in which links are read is that of the chains, newest first,
so what a cap cuts off doesn't depend on the store that holds them.
"""

from pathlib import Path
from typing import Any

import numpy as np

from mitra.compiled import compiler
from mitra.graph.features import REACH

jit: Any = compiler(Path(__file__).parent, nogil=True)

FRAUDS_1, FRAUDS_2, DISTANCE, CYCLE, FIXED = range(5)
"""The first measures of a node; behind FIXED come degree and peers (of any type, then of each), then WINDOWED, by window each."""

WINDOWED = ("fan_in", "fan_out", "links_in", "links_out")

MET, CAME, WENT, PEER, STEPPED, STAMPS = range(6)
"""What a node is stamped with by a question: that it was met, that a link came from or went to it, and so on."""
HOPS, SHARES, STEPS, NOTES = range(4)
"""What is noted of a node: hops from the root, by which types of neighbours a peer was met (a bit each), steps of a circle."""

LONGEST_CYCLE = 4


@jit
def chain(head, following, ends, time, rank, first, last) -> None:  # type: ignore[no-untyped-def]
    """Put the links from `first` to before `last` where they belong in the chains of both their nodes."""
    for end in range(2 * first, 2 * last):
        node, link = ends[end], end // 2
        before, at = -1, head[node]
        while at >= 0 and (time[at // 2] > time[link] or (time[at // 2] == time[link] and rank[at // 2] > rank[link])):
            before, at = at, following[at]
        following[end] = at
        if before < 0:
            head[node] = end
        else:
            following[before] = end


@jit
def _was_fraud(payment, as_of, span_first, span_count, spans) -> bool:  # type: ignore[no-untyped-def]
    start = span_first[payment]
    for span in range(start, start + span_count[payment]):  # noqa: SIM110 - numba compiles no generator
        if spans[span, 0] <= as_of < spans[span, 1]:
            return True
    return False


@jit
def measure(  # type: ignore[no-untyped-def]
    nodes, as_of, windows, types, own_links, most_links, most_nodes,
    type_of, head, following, ends, time, payment, span_first, span_count, spans, stamp, stamps, notes, told, out, capped,
) -> None:  # fmt: skip
    """Measure the surroundings of n nodes into `out` float64[n, m]; `capped` u1[n, m] marks what may be more.

    `nodes` int[n], -1 for one that nobody knows; `as_of` int64[n]; `windows` int64[w]; `types` how many there are. The other
    arrays are `Columns`, and room for notes on nodes: a note counts if its stamp is the question's, `stamp` + its row. A node is looked into if it is at most REACH hops away, in the order in which nodes are met.
    """
    queue = np.zeros(most_nodes + 1, np.int32)
    room = own_links + most_nodes * most_links
    forward = np.empty((room, 2), np.int32)
    degree, peers, fan_in = FIXED, FIXED + 1 + types, FIXED + 2 + 2 * types
    fan_out, count_in, count_out = fan_in + windows.size, fan_in + 2 * windows.size, fan_in + 3 * windows.size
    for q in range(nodes.size):
        root, moment, mark = nodes[q], as_of[q], stamp + q
        out[q, :] = 0
        capped[q, :] = 0
        out[q, DISTANCE] = REACH + 1
        if root < 0:
            continue
        stamps[root, MET] = mark
        notes[root, HOPS] = 0
        queue[0] = root
        waiting, looked, kept = 1, 0, 0
        own_cut, near_cut, far_cut = False, False, False
        oldest = moment
        while looked < waiting:
            node = queue[looked]
            hop = notes[node, HOPS]
            looked += 1
            most = own_links if hop == 0 else most_links
            read = 0
            end = head[node]
            while end >= 0:
                link = end // 2
                if time[link] >= moment:
                    end = following[end]
                    continue
                if read == most:
                    own_cut, near_cut, far_cut = own_cut or hop == 0, near_cut or hop == 1, far_cut or hop == 2
                    break
                read += 1
                other = ends[end ^ 1]
                outgoing = end % 2 == 0
                if outgoing:
                    forward[kept, 0], forward[kept, 1] = node, other
                    kept += 1
                if hop < 2 or out[q, DISTANCE] > hop:
                    paid = payment[link]
                    if _was_fraud(paid, moment, span_first, span_count, spans):
                        out[q, DISTANCE] = min(out[q, DISTANCE], hop)
                        if hop < 2 and told[paid] != mark:
                            told[paid] = mark
                            out[q, FRAUDS_2] += 1
                            if hop == 0:
                                out[q, FRAUDS_1] += 1
                if hop == 0:
                    oldest = time[link]
                    way = WENT if outgoing else CAME
                    new = stamps[other, way] != mark
                    stamps[other, way] = mark
                    for w in range(windows.size):
                        # The moment itself is no part of a window, nor what lies its whole length back.
                        if time[link] > moment - windows[w]:
                            out[q, (count_out if outgoing else count_in) + w] += 1
                            if new:
                                out[q, (fan_out if outgoing else fan_in) + w] += 1
                elif hop == 1 and type_of[other] == type_of[root] and other != root:
                    if stamps[other, PEER] != mark:
                        stamps[other, PEER] = mark
                        notes[other, SHARES] = 0
                        out[q, peers] += 1
                    bit = np.int64(1) << np.int64(type_of[node])
                    if not notes[other, SHARES] & bit:
                        notes[other, SHARES] |= bit
                        out[q, peers + 1 + type_of[node]] += 1
                if stamps[other, MET] != mark:
                    stamps[other, MET] = mark
                    notes[other, HOPS] = hop + 1
                    if hop == 0:
                        out[q, degree] += 1
                        out[q, degree + 1 + type_of[other]] += 1
                    if hop < REACH:
                        if waiting <= most_nodes:
                            queue[waiting] = other
                            waiting += 1
                        else:
                            near_cut, far_cut = near_cut or hop == 0, True
                end = following[end]
        out[q, CYCLE] = _cycle(root, mark, forward[:kept], stamps, notes)
        distance, cycle = out[q, DISTANCE], out[q, CYCLE]
        cut_near = own_cut or near_cut
        capped[q, FRAUDS_1] = own_cut
        capped[q, FRAUDS_2] = cut_near
        capped[q, DISTANCE] = (distance > 0 and own_cut) or (distance > 1 and near_cut) or (distance > 2 and far_cut)
        capped[q, CYCLE] = cycle != 2 and (cut_near or far_cut)
        for t in range(types + 1):
            capped[q, degree + t] = own_cut
            capped[q, peers + t] = cut_near
        for w in range(windows.size):
            cut = own_cut and oldest > moment - windows[w]
            for first in (fan_in, fan_out, count_in, count_out):
                capped[q, first + w] = cut


@jit
def _cycle(root, mark, forward, stamps, notes) -> int:  # type: ignore[no-untyped-def]
    """Return the number of links of the shortest circle from `root` back to it along `forward` int[k, 2], 0 without one."""
    stamps[root, STEPPED] = mark
    notes[root, STEPS] = 0
    for step in range(1, LONGEST_CYCLE + 1):
        for link in range(forward.shape[0]):
            start, to = forward[link, 0], forward[link, 1]
            if stamps[start, STEPPED] != mark or notes[start, STEPS] != step - 1:
                continue
            if to == root:
                return step
            if stamps[to, STEPPED] != mark:
                stamps[to, STEPPED] = mark
                notes[to, STEPS] = step
    return 0


@jit
def frauds_at(moment, span_first, span_count, spans) -> Any:  # type: ignore[no-untyped-def]
    """Return bool[payments]: which were known to be frauds at a moment."""
    found = np.zeros(span_first.size, np.bool_)
    for payment in range(span_first.size):
        found[payment] = _was_fraud(payment, moment, span_first, span_count, spans)
    return found

"""The Cypher of the store in Neo4j, 5.26 and later.

A node's links are read newest first, in the order of (time, rank, place): that of the embedded store's chains.
"""

from typing import LiteralString

SCHEMA: tuple[LiteralString, ...] = (
    "CREATE CONSTRAINT mitra_node IF NOT EXISTS FOR (n:Node) REQUIRE n.key IS UNIQUE",
    "CREATE CONSTRAINT mitra_payment IF NOT EXISTS FOR (p:Payment) REQUIRE p.id IS UNIQUE",
    "CREATE CONSTRAINT mitra_topic IF NOT EXISTS FOR (t:Topic) REQUIRE (t.name, t.partition) IS UNIQUE",
    "CREATE INDEX mitra_payment_time IF NOT EXISTS FOR (p:Payment) ON (p.time)",
    "CREATE INDEX mitra_link_payment IF NOT EXISTS FOR ()-[l:LINK]-() ON (l.payment)",
    "CALL db.awaitIndexes(60)",
)

ADD_LINKS: LiteralString = """
UNWIND $payments AS p
MERGE (paid:Payment {id: p.id})
WITH p, paid WHERE paid.time IS NULL
SET paid.time = p.time
WITH p, paid.spans AS spans
CALL (p, spans) {
    UNWIND p.links AS l
    MERGE (one:Node {key: l.one}) ON CREATE SET one.type = l.one_type, one.id = l.one_id
    MERGE (other:Node {key: l.other}) ON CREATE SET other.type = l.other_type, other.id = l.other_id
    CREATE (one)-[:LINK {time: p.time, rank: p.rank, payment: p.id, place: l.place, spans: spans}]->(other)
    RETURN count(l) AS made
}
RETURN count(p) AS taken, max(p.time) AS newest
"""

LABELS: LiteralString = """
UNWIND $ids AS id
MERGE (paid:Payment {id: id})
RETURN id, coalesce(paid.labels, []) AS labels
"""
SET_LABELS: LiteralString = """
UNWIND $payments AS p
MATCH (paid:Payment {id: p.id})
SET paid.labels = p.labels, paid.spans = p.spans
WITH p
MATCH ()-[l:LINK {payment: p.id}]->()
SET l.spans = p.spans
"""

LOOK: LiteralString = """
UNWIND $questions AS q
MATCH (root:Node {key: q.key})
// One more than is read says whether there is more.
CALL (root, q) {
    MATCH (root)-[l:LINK]-(o) WHERE l.time < q.moment
    WITH l, o ORDER BY l.time DESC, l.rank DESC, l.place DESC LIMIT $own + 1
    RETURN collect(l) AS own, collect(o)[..$own] AS met
}
CALL (met) {
    UNWIND range(0, size(met) - 1) AS at
    WITH met[at] AS o, min(at) AS at ORDER BY at LIMIT $nodes
    RETURN collect(o) AS near
}
CALL (q, near) {
    UNWIND range(0, size(near) - 1) AS at
    WITH q, at, near[at] AS n
    CALL (q, n) {
        MATCH (n)-[l:LINK]-(o) WHERE l.time < q.moment
        WITH l, o ORDER BY l.time DESC, l.rank DESC, l.place DESC LIMIT $links + 1
        RETURN collect(l) AS links, collect(o)[..$links] AS others
    }
    WITH links, others ORDER BY at
    RETURN collect(links) AS near_links, collect(others) AS met_near
}
CALL (root, near, met_near) {
    UNWIND range(0, size(met_near) - 1) AS list
    UNWIND range(0, size(met_near[list]) - 1) AS at
    WITH root, near, met_near[list][at] AS o, list, at
    WHERE o <> root AND NOT o IN near
    WITH near, o, min(list * ($links + 1) + at) AS at ORDER BY at
    WITH near, collect(o) AS found
    RETURN collect(found[..$nodes - size(near)]) AS lists
}
CALL (q, lists) {
    UNWIND lists AS far
    UNWIND far AS n
    CALL (q, n) {
        MATCH (n)-[l:LINK]-() WHERE l.time < q.moment
        WITH l ORDER BY l.time DESC, l.rank DESC, l.place DESC LIMIT $links + 1
        RETURN collect(l) AS links
    }
    RETURN collect(links) AS far_links
}
UNWIND [own] + near_links + far_links AS list
UNWIND list AS l
WITH DISTINCT l
RETURN startNode(l).type, startNode(l).id, endNode(l).type, endNode(l).id, l.time, l.payment, l.spans
ORDER BY l.payment, l.place
"""

ALL_LINKS: LiteralString = """
MATCH (one:Node)-[l:LINK]->(other:Node) WHERE l.time <= $moment
RETURN one.key, other.key, coalesce(l.spans, [])
"""
NEWEST: LiteralString = "MATCH (p:Payment) WHERE p.time IS NOT NULL RETURN p.time ORDER BY p.time DESC LIMIT 1"

OFFSETS: LiteralString = "MATCH (t:Topic {name: $topic}) RETURN t.partition, t.offset"
SET_OFFSETS: LiteralString = """
UNWIND $places AS p
MERGE (t:Topic {name: $topic, partition: p.partition})
SET t.offset = p.offset
"""

CREATE TEMPORARY TABLE cep_events (
    `id` STRING,
    `at` BIGINT,
    `customer` STRING,
    `amount` DOUBLE,
    `topic` STRING METADATA VIRTUAL,
    `event type` AS CASE WHEN `topic` = 'shop.payment' AND `id` IS NOT NULL AND `at` IS NOT NULL AND `customer` IS NOT NULL AND `amount` IS NOT NULL THEN 'payment' END,
    `event id` AS CASE WHEN `topic` = 'shop.payment' THEN CAST(`id` AS STRING) END,
    `event ms` AS CASE WHEN `topic` = 'shop.payment' THEN `at` END,
    `event at` AS TO_TIMESTAMP_LTZ(COALESCE(CASE WHEN CASE WHEN `topic` = 'shop.payment' THEN `at` END >= 0 AND CASE WHEN `topic` = 'shop.payment' THEN `at` END <= UNIX_TIMESTAMP() * 1000 + 86400000 THEN CASE WHEN `topic` = 'shop.payment' THEN `at` END END, 0), 3),
    WATERMARK FOR `event at` AS `event at` - INTERVAL '0 00:00:05.000' DAY(3) TO SECOND(3)
) WITH ('connector' = 'kafka', 'topic' = 'shop.payment', 'properties.bootstrap.servers' = 'localhost:9092', 'properties.group.id' = 'shop.cep', 'properties.isolation.level' = 'read_committed', 'scan.startup.mode' = 'earliest-offset', 'scan.watermark.idle-timeout' = '5 s', 'format' = 'json', 'json.ignore-parse-errors' = 'true')

SELECT ENCODE(id, 'UTF-8'), ENCODE(u.v, 'UTF-8'), u.t FROM (
SELECT `match id` AS id, SUBSTRING(JSON_OBJECT(KEY 'id' VALUE `match id`, KEY 'kind' VALUE 'cep', KEY 'rule' VALUE 'doubled', KEY 'version' VALUE 0, KEY 'mode' VALUE 'live', KEY 'outcome' VALUE 'review', KEY 'entity' VALUE 'customer', KEY 'key' VALUE `entity key`, KEY 'time' VALUE `last_ms_1`, KEY 'late' VALUE FALSE, KEY 'revision' VALUE 0, KEY 'reason' VALUE '', KEY 'unasked' VALUE CAST(NULL AS STRING)) FROM 2) AS alert, CONCAT_WS(',', CASE WHEN `count_0` > 0 THEN JSON_OBJECT(KEY 'step' VALUE 'first', KEY 'event' VALUE `type_0`, KEY 'time' VALUE `first_ms_0`, KEY 'id' VALUE `first_id_0`, KEY 'until' VALUE `last_ms_0`, KEY 'count' VALUE `count_0`) END, CASE WHEN `count_1` > 0 THEN JSON_OBJECT(KEY 'step' VALUE 'second', KEY 'event' VALUE `type_1`, KEY 'time' VALUE `first_ms_1`, KEY 'id' VALUE `first_id_1`, KEY 'until' VALUE `last_ms_1`, KEY 'count' VALUE `count_1`) END) AS events, JSON_OBJECT(KEY 'match_id' VALUE `match id`, KEY 'match_time' VALUE `last_ms_1`, KEY 'pattern' VALUE 'doubled', KEY 'customer' VALUE `customer`) AS event FROM (
SELECT *, CONCAT_WS(U&'\001F', CAST(`customer` AS STRING)) AS `entity key`, MD5(CONCAT_WS(U&'\001F', 'doubled', CONCAT_WS(U&'\001F', CAST(`customer` AS STRING)), `first_id_0`, CAST(`first_ms_0` AS STRING), `last_id_1`)) AS `match id` FROM (SELECT * FROM (SELECT * FROM cep_events WHERE `customer` IS NOT NULL AND `event type` IS NOT NULL AND `event at` > TO_TIMESTAMP_LTZ(0, 3)) MATCH_RECOGNIZE (
  PARTITION BY `customer`
  ORDER BY `event at`
  MEASURES
    FIRST(S0_first_600000.`event id`) AS `first_id_0`,
    FIRST(S0_first_600000.`event ms`) AS `first_ms_0`,
    LAST(S0_first_600000.`event id`) AS `last_id_0`,
    LAST(S0_first_600000.`event ms`) AS `last_ms_0`,
    LAST(S0_first_600000.`event type`) AS `type_0`,
    COUNT(S0_first_600000.`event id`) AS `count_0`,
    FIRST(S1_second.`event id`) AS `first_id_1`,
    FIRST(S1_second.`event ms`) AS `first_ms_1`,
    LAST(S1_second.`event id`) AS `last_id_1`,
    LAST(S1_second.`event ms`) AS `last_ms_1`,
    LAST(S1_second.`event type`) AS `type_1`,
    COUNT(S1_second.`event id`) AS `count_1`
  ONE ROW PER MATCH
  AFTER MATCH SKIP PAST LAST ROW
  PATTERN (S0_first_600000 G1*? S1_second) WITHIN INTERVAL '0 00:10:00.001' DAY(3) TO SECOND(3)
  DEFINE
    S0_first_600000 AS S0_first_600000.`event type` = 'payment',
    G1 AS (G1.`event type` = 'payment' AND ((G1.`amount` >= (CAST(2 AS BIGINT) * S0_first_600000.`amount`)) AND (S0_first_600000.`amount` > CAST(0 AS BIGINT)))) IS NOT TRUE,
    S1_second AS S1_second.`event type` = 'payment' AND ((S1_second.`amount` >= (CAST(2 AS BIGINT) * S0_first_600000.`amount`)) AND (S0_first_600000.`amount` > CAST(0 AS BIGINT)))
))
)) CROSS JOIN UNNEST(ARRAY[
  ROW('shop.alerts', '{"events":[' || events || '],' || alert), ROW('shop.matches', event)
]) AS u(t, v)

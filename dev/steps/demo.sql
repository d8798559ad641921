-- demo.sql: what arrived at the simulator, next to what was inserted.
--
-- Run by dev/steps/demo with psql; the variable log is apnsim's log, one JSON
-- object a line.

CREATE TEMPORARY TABLE line (request jsonb);
-- One column, and no character of the file means anything to COPY.
COPY line FROM :'log' WITH (FORMAT csv, DELIMITER E'\x01', QUOTE E'\x02');

CREATE TEMPORARY VIEW arrived AS
SELECT m.*, l.request, p.payload, l.request->'arrived_us' AS arrived_us,
	pg_catalog.round((l.request->>'arrived_us')::numeric / 1000 -
		1000 * extract(epoch FROM pg_catalog.pg_xact_commit_timestamp(m.xmin)),
		1) AS ms
FROM line AS l
CROSS JOIN LATERAL (SELECT (l.request->>'payload')::jsonb AS payload) AS p
JOIN imp_push.offline_message AS m
	ON m.msg_id = p.payload->>'m' AND m.recipient = p.payload->>'t';

SELECT pg_catalog.format(
$$%s  %s to %s: "%s"
  title    %s
  body     %s
  badge    %s
  headers  %s
  status   %s, %s ms after the commit of the INSERT
$$,
	pg_catalog.row_number() OVER (ORDER BY id, arrived_us),
	sender,
	CASE chat_type WHEN 'groupchat'
		THEN conversation_id || ' (' || recipient || ')'
		ELSE recipient END,
	body,
	payload #>> '{aps,alert,title}',
	payload #>> '{aps,alert,body}',
	payload #>> '{aps,badge}',
	(SELECT pg_catalog.string_agg(h.key || ': ' || h.value, E'\n           '
								  ORDER BY h.key)
	 FROM pg_catalog.jsonb_each_text(request->'headers') AS h
	 WHERE h.key LIKE 'apns-%'),
	request->>'status',
	ms)
FROM arrived
ORDER BY id, arrived_us;

SELECT pg_catalog.format('%s notifications, %s ms from commit to arrival at '
	'the median (the first one had to connect)',
	count(*), percentile_disc(0.5) WITHIN GROUP (ORDER BY ms))
FROM arrived;

-- metrics: what a monitoring system scrapes.
--
-- Owns the view and nothing in it: counters come from counter.sql, gauges are
-- looked up when asked.  Must never have a label that names a person, a device
-- or a message.

CREATE VIEW imp_push.metrics AS
	SELECT m.name, m.labels, m.type, m.value, h.help
	FROM (
		SELECT c.name, c.labels,
			CASE WHEN c.name LIKE 'imp\_push\_commit\_to\_answer\_seconds%'
				THEN 'histogram' ELSE 'counter' END AS type,
			c.value
		FROM imp_push.counter c
		UNION ALL
		SELECT 'imp_push_pending', '{}', 'gauge', pg_catalog.count(*)
		FROM imp_push.delivery d
		WHERE d.finished_at IS NULL
		UNION ALL
		SELECT 'imp_push_oldest_pending_seconds', '{}', 'gauge',
			COALESCE(EXTRACT(epoch FROM pg_catalog.now() - pg_catalog.min(pending.since)), 0)
		FROM (
			SELECT m.created_at AS since
			FROM imp_push.delivery d
				JOIN imp_push.offline_message m ON m.id = d.message_id
			WHERE d.finished_at IS NULL
			UNION ALL
			SELECT p.created_at FROM imp_push.direct_push p) pending
		UNION ALL
		SELECT 'imp_push_circuit_open',
			pg_catalog.jsonb_build_object('certificate', s.certificate), 'gauge',
			CASE s.circuit WHEN 'open' THEN 1 ELSE 0 END
		FROM imp_push.certificate_status s
		UNION ALL
		SELECT 'imp_push_in_flight',
			pg_catalog.jsonb_build_object('worker', w.worker::text), 'gauge', w.in_flight
		FROM imp_push.worker_status w
		UNION ALL
		SELECT 'imp_push_notify_queue_usage', '{}', 'gauge',
			CASE WHEN NOT pg_catalog.pg_is_in_recovery()
				THEN pg_catalog.pg_notification_queue_usage() ELSE 0 END
		) m(name, labels, type, value)
		LEFT JOIN (VALUES
			('imp_push_pending', 'pushes and messages that are not settled'),
			('imp_push_oldest_pending_seconds', 'age of the oldest of them'),
			('imp_push_sent_total', 'pushes accepted by APNs'),
			('imp_push_decisions_total', 'what became of messages and pushes'),
			('imp_push_answers_total', 'answers of APNs, those to attempts that are repeated included'),
			('imp_push_resent_total', 'requests that were sent again because a connection failed'),
			('imp_push_commit_to_answer_seconds_bucket', 'time from the message to the answer of APNs, of first attempts'),
			('imp_push_commit_to_answer_seconds_sum', 'time from the message to the answer of APNs, of first attempts'),
			('imp_push_commit_to_answer_seconds_count', 'time from the message to the answer of APNs, of first attempts'),
			('imp_push_circuit_open', '1 while nothing can be sent with the certificate'),
			('imp_push_in_flight', 'pushes handed to the transport and not answered'),
			('imp_push_notify_queue_usage', 'fraction of the cluster''s notification queue in use')
			) h(name, help) ON h.name = m.name;
COMMENT ON VIEW imp_push.metrics IS 'metrics in the terms of Prometheus';
COMMENT ON COLUMN imp_push.metrics.name IS 'name of the metric';
COMMENT ON COLUMN imp_push.metrics.labels IS 'its labels, a JSON object';
COMMENT ON COLUMN imp_push.metrics.type IS 'counter, gauge or histogram';
COMMENT ON COLUMN imp_push.metrics.value IS 'its value';
COMMENT ON COLUMN imp_push.metrics.help IS 'what it means';

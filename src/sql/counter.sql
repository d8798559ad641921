-- Counters: they only grow, also over restarts.
--
-- Owns the table.  The worker adds to it, at most once a second or with what it
-- writes anyway; view metrics shows it.  Nothing may be decided by a counter.

CREATE TABLE imp_push.counter (
	name	text NOT NULL,
	labels	jsonb NOT NULL,
	value	double precision NOT NULL,
	PRIMARY KEY (name, labels)
);
COMMENT ON TABLE imp_push.counter IS
	'counters of the worker; view metrics shows them; not dumped';
COMMENT ON COLUMN imp_push.counter.name IS 'name of the metric';
COMMENT ON COLUMN imp_push.counter.labels IS 'its labels';
COMMENT ON COLUMN imp_push.counter.value IS 'since the extension was created';

CREATE FUNCTION imp_push.add_to_counters(names text[], labels jsonb[],
										 amounts double precision[])
RETURNS void
LANGUAGE sql VOLATILE
BEGIN ATOMIC
	INSERT INTO imp_push.counter AS c (name, labels, value)
	SELECT added.name, added.labels, added.amount
	FROM unnest(names, labels, amounts) AS added(name, labels, amount)
	ON CONFLICT (name, labels) DO UPDATE SET value = c.value + EXCLUDED.value;
END;
COMMENT ON FUNCTION imp_push.add_to_counters(text[], jsonb[], double precision[]) IS
	'adds to counters; arrays of one length';

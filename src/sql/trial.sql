-- Trial: what is being planned, written down before it is planned.
--
-- Owns the memory of a worker that may not live to tell.  After a worker has
-- ended uncleanly, the next one plans with care (trial.c): it writes down which
-- messages it is about to plan, and commits that first.  Whatever the last row
-- names when the next worker starts was being planned when this one ended.
-- Never written otherwise, and never says that a message is to blame: that is
-- decided in trial.c.

-- Rows are added and not changed, so that another session's old snapshot does
-- not make each one dearer than the one before.
CREATE TABLE imp_push.trial (
	no			bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	message_ids	bigint[] NOT NULL,
	times		int NOT NULL
);
COMMENT ON TABLE imp_push.trial IS
	'after a crash: what the worker is planning, the last row; otherwise empty; not dumped';
COMMENT ON COLUMN imp_push.trial.no IS 'order of the trials';
COMMENT ON COLUMN imp_push.trial.message_ids IS
	'the messages on trial, negative those of direct pushes; empty: none is';
COMMENT ON COLUMN imp_push.trial.times IS
	'how often in a row a single message has been on trial alone; 0: they are several';

CREATE FUNCTION imp_push.put_on_trial(message_ids bigint[], times int)
RETURNS void
LANGUAGE sql VOLATILE
BEGIN ATOMIC
	INSERT INTO imp_push.trial (message_ids, times)
	VALUES (put_on_trial.message_ids, put_on_trial.times);
END;
COMMENT ON FUNCTION imp_push.put_on_trial(bigint[], int) IS
	'writes down what the worker is about to plan';

CREATE FUNCTION imp_push.end_trials() RETURNS void
LANGUAGE sql VOLATILE
BEGIN ATOMIC
	DELETE FROM imp_push.trial;
END;
COMMENT ON FUNCTION imp_push.end_trials() IS
	'forgets what has been on trial: all of it has been planned';

-- A worker that ends well says that it has stopped.
CREATE FUNCTION imp_push.worker_crashed(worker smallint) RETURNS boolean
LANGUAGE sql STABLE
RETURN COALESCE(
	(SELECT w.state <> 'stopped' FROM imp_push.worker_state w
	 WHERE w.worker = worker_crashed.worker),
	false);
COMMENT ON FUNCTION imp_push.worker_crashed(smallint) IS
	'whether the last worker ended without saying so';

CREATE FUNCTION imp_push.last_trial(OUT message_ids bigint[], OUT times int)
LANGUAGE sql STABLE
BEGIN ATOMIC
	SELECT t.message_ids, t.times
	FROM imp_push.trial t
	ORDER BY t.no DESC
	LIMIT 1;
END;
COMMENT ON FUNCTION imp_push.last_trial() IS
	'what was on trial last; NULL: nothing';

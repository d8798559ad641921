-- Who may do what.  Nothing is granted to PUBLIC; three roles can be made from
-- any role, and each gets what stands in its function and nothing else.

CREATE FUNCTION imp_push.grant_app(role regrole) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	EXECUTE format('GRANT USAGE ON SCHEMA imp_push TO %s', role);
	EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON
			imp_push.device_token, imp_push.presence, imp_push.im_node,
			imp_push.user_profile, imp_push.contact_remark, imp_push.dnd,
			imp_push.offline_message
		TO %s', role);
	EXECUTE format('GRANT SELECT ON
			imp_push.template, imp_push.builtin_text, imp_push.delivery,
			imp_push.online_user
		TO %s', role);
	EXECUTE format('GRANT EXECUTE ON FUNCTION
			imp_push.bind_device(text, text, text, text),
			imp_push.unbind_device(text, text, text),
			imp_push.set_presence(text, text, text, text, text, interval),
			imp_push.node_heartbeat(text, interval),
			imp_push.is_online(text),
			imp_push.logout(text, text, boolean),
			imp_push.set_mode(text, text, text, text),
			imp_push.set_dnd_interval(text, time, time),
			imp_push.set_dnd_duration(text, int, text, text),
			imp_push.get_dnd(text, text, text, timestamptz),
			imp_push.fetch_offline_messages(text, int, bigint),
			imp_push.ack_offline_messages(text, bigint[]),
			imp_push.offline_message_count(text),
			imp_push.recall_message(text),
			imp_push.push_badge(text, text, int),
			imp_push.explain(text, text),
			imp_push.simulate(text, text, text, text, text, text, jsonb, jsonb,
				text, timestamptz),
			-- what those are made of
			imp_push.counts_for_badge(imp_push.offline_message),
			imp_push.live_device(timestamptz),
			imp_push.device_status(text, timestamptz, timestamptz, timestamptz),
			imp_push.drop_empty_dnd(text, text, text)
		TO %s', role);
END
$$;
COMMENT ON FUNCTION imp_push.grant_app(regrole) IS
	'makes a role that of an IM server: people, devices, messages, and what became of them; no keys, no configuration, no worker control';

CREATE FUNCTION imp_push.grant_monitor(role regrole) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	EXECUTE format('GRANT USAGE ON SCHEMA imp_push TO %s', role);
	EXECUTE format('GRANT SELECT ON
			imp_push.worker_status, imp_push.certificate_status, imp_push.metrics,
			imp_push.delivery
		TO %s', role);
	EXECUTE format('GRANT EXECUTE ON FUNCTION imp_push.explain(text, text) TO %s',
		role);
END
$$;
COMMENT ON FUNCTION imp_push.grant_monitor(regrole) IS
	'lets a role see how imp_push is doing: no tokens, no text of messages';

CREATE FUNCTION imp_push.grant_worker(role regrole) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	function_name regprocedure;
BEGIN
	EXECUTE format('GRANT USAGE ON SCHEMA imp_push TO %s', role);
	EXECUTE format('GRANT SELECT ON
			imp_push.settings, imp_push.vocabulary, imp_push.certificate,
			imp_push.presence, imp_push.im_node, imp_push.user_profile,
			imp_push.contact_remark, imp_push.dnd, imp_push.template,
			imp_push.control, imp_push.former_name
		TO %s', role);
	-- UPDATE, too, because rows are locked before they are deleted
	EXECUTE format('GRANT SELECT, UPDATE, DELETE ON imp_push.offline_message TO %s', role);
	EXECUTE format('GRANT SELECT, UPDATE ON imp_push.device_token TO %s', role);
	EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON
			imp_push.worker_cursor, imp_push.waiting, imp_push.delivery_ring,
			imp_push.direct_push, imp_push.housekeeping_state, imp_push.recheck,
			imp_push.recheck_state, imp_push.counter
		TO %s', role);
	EXECUTE format('GRANT SELECT, INSERT ON imp_push.delivery_log TO %s', role);
	EXECUTE format('GRANT SELECT, INSERT, DELETE ON imp_push.trial TO %s', role);
	FOR slot IN 0..3 LOOP
		EXECUTE format('GRANT TRUNCATE ON imp_push.delivery_log_%s TO %s', slot, role);
	END LOOP;

	-- all functions that read or carry; those that act for people are left out,
	-- and so is everything about keys, provider tokens and rights
	FOR function_name IN
		SELECT p.oid
		FROM pg_proc p
		WHERE p.pronamespace = 'imp_push'::regnamespace
			AND p.prorettype <> 'trigger'::regtype
			AND (p.provolatile <> 'v' AND NOT p.prosecdef
				OR p.proname IN ('plan_messages', 'record_decisions', 'plan_waiting', 'plan_direct',
					'plan_swallowed', 'recheck_unacknowledged',
					'settle', 'settle_direct',
					'fail_message', 'disable_tokens', 'revive_tokens', 'store_cursor',
					'put_on_trial', 'end_trials',
					'housekeeping', 'turn_delivery_ring', 'evict_messages',
					'evict_old_messages', 'evict_surplus_messages'))
	LOOP
		EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %s', function_name, role);
	END LOOP;
END
$$;
COMMENT ON FUNCTION imp_push.grant_worker(regrole) IS
	'what imp_push.role needs if it is not the owner; nothing on keys and provider tokens';

-- Whatever ALTER DEFAULT PRIVILEGES says.
REVOKE ALL ON ALL TABLES IN SCHEMA imp_push FROM PUBLIC;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA imp_push FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA imp_push FROM PUBLIC;
REVOKE ALL ON TYPE imp_push.decision FROM PUBLIC;
REVOKE ALL ON TYPE imp_push.planned_push FROM PUBLIC;

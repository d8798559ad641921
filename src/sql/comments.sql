-- What the triggers, indexes and sequences are for, and the columns of the
-- composite types.  (Tables, their columns, views, types and functions say so
-- where they are made.)

-- A check says what it allows: its comment is what its error would be.
DO $$
DECLARE
	line text;
BEGIN
	FOR line IN
		SELECT format('COMMENT ON TRIGGER %I ON %s IS %L', t.tgname, t.tgrelid::regclass,
			format('refuses what %s does not take. %s', split_part(a.args, '\000', 1), split_part(a.args, '\000', 3)))
		FROM pg_trigger t
			CROSS JOIN LATERAL (SELECT encode(t.tgargs, 'escape')) a(args)
		WHERE t.tgfoid = 'imp_push.refuse'::regproc
	LOOP
		EXECUTE line;
	END LOOP;
END $$;

COMMENT ON TRIGGER settings_check_time_zone ON imp_push.settings IS
	'refuses what is no IANA time zone';
COMMENT ON TRIGGER settings_1_insert_is_update ON imp_push.settings IS
	'makes an INSERT an UPDATE of the one row';
COMMENT ON TRIGGER settings_stay_row ON imp_push.settings IS
	'keeps the one row from DELETE';
COMMENT ON TRIGGER settings_stay_table ON imp_push.settings IS
	'keeps the one row from TRUNCATE';
COMMENT ON TRIGGER settings_keep_advanced ON imp_push.settings IS
	'advanced_features is switched off by its function alone';
COMMENT ON INDEX imp_push.settings_one_row IS
	'there is one row';
COMMENT ON TRIGGER builtin_text_1_insert_is_update ON imp_push.builtin_text IS
	'makes an INSERT of an existing key an UPDATE';
COMMENT ON TRIGGER builtin_text_to_vocabulary ON imp_push.builtin_text IS
	'keeps vocabulary';
COMMENT ON TRIGGER template_need_advanced_features ON imp_push.template IS
	'refuses writing while settings.advanced_features is off';
COMMENT ON TRIGGER dnd_need_advanced_features ON imp_push.dnd IS
	'refuses writing while settings.advanced_features is off';
COMMENT ON TRIGGER user_profile_check_time_zone ON imp_push.user_profile IS
	'refuses what is neither NULL nor an IANA time zone';

COMMENT ON TRIGGER certificate_in_use ON imp_push.certificate IS
	'refuses to delete a certificate that has bindings';
COMMENT ON TRIGGER certificate_in_use_truncate ON imp_push.certificate IS
	'refuses to empty the table while there are bindings';
COMMENT ON TRIGGER certificate_renamed ON imp_push.certificate IS
	'takes bindings along to the new name';
COMMENT ON TRIGGER device_token_2_register ON imp_push.device_token IS
	'checks and normalises a token; writing one begins a new registration';
COMMENT ON TRIGGER device_token_3_move ON imp_push.device_token IS
	'takes the token from its other holder';
COMMENT ON INDEX imp_push.device_token_holder IS
	'a token has one holder under a certificate; over hashes, so that no error shows a token';
COMMENT ON INDEX imp_push.device_token_doubted IS
	'for bindings that were disabled of late and may be wronged';

COMMENT ON TRIGGER presence_1_stay_kicked ON imp_push.presence IS
	'a device that was kicked stays so until it is online again';
COMMENT ON TRIGGER presence_changed ON imp_push.presence IS
	'keeps changed_at';
COMMENT ON TRIGGER presence_recheck_update ON imp_push.presence IS
	'with settings.push_unacknowledged: has the worker look at those who may have gone offline';
COMMENT ON TRIGGER presence_recheck_delete ON imp_push.presence IS
	'the same for a row that is deleted';
COMMENT ON TRIGGER im_node_recheck ON imp_push.im_node IS
	'the same for the connections of a node whose lease is ended';
COMMENT ON TRIGGER im_node_gone ON imp_push.im_node IS
	'turns the connections of a node offline that is deleted';
COMMENT ON INDEX imp_push.presence_lease IS
	'for connections whose lease runs out';
COMMENT ON INDEX imp_push.presence_node IS
	'for the connections of a node';
COMMENT ON INDEX imp_push.im_node_lease IS
	'for nodes whose lease runs out';
COMMENT ON SEQUENCE imp_push.recheck_id_seq IS
	'numbers of rows in recheck';

COMMENT ON TRIGGER before_write ON imp_push.offline_message IS
	'checks a message, stamps its transaction and has the commit wake the worker';
COMMENT ON TRIGGER after_delete ON imp_push.offline_message IS
	'records what was deleted before it was planned as cancelled';
COMMENT ON INDEX imp_push.offline_message_recipient_idx IS
	'for what a user fetches, the badge and the limits of the store';
COMMENT ON INDEX imp_push.offline_message_queue_idx IS
	'the queue: messages in the order of the transactions that stored them';
COMMENT ON SEQUENCE imp_push.offline_message_id_seq IS
	'numbers of messages';

COMMENT ON INDEX imp_push.waiting_due_idx IS
	'for what is due, certificate by certificate';
COMMENT ON INDEX imp_push.waiting_expires_idx IS
	'for messages whose life is over';
COMMENT ON INDEX imp_push.waiting_recipient_idx IS
	'for delivery and explain';
COMMENT ON INDEX imp_push.delivery_log_recipient_idx IS
	'for the duplicate check, for what has an outcome, for delivery and explain';
COMMENT ON INDEX imp_push.delivery_log_finished_idx IS
	'for the feed of push results';
COMMENT ON INDEX imp_push.direct_push_due_idx IS
	'for what is due, certificate by certificate';
COMMENT ON INDEX imp_push.direct_push_test_idx IS
	'for tests, which go even if a circuit is open';
COMMENT ON INDEX imp_push.direct_push_created_idx IS
	'for pushes whose life is over';
COMMENT ON INDEX imp_push.direct_push_recipient_idx IS
	'for delivery, and for a user who is forgotten';
COMMENT ON SEQUENCE imp_push.direct_push_id_seq IS
	'numbers of pushes without a message';
COMMENT ON SEQUENCE imp_push.trial_no_seq IS
	'numbers of rows in trial';

COMMENT ON COLUMN imp_push.planned_push.message_id IS
	'the message; negative: the number in direct_push';
COMMENT ON COLUMN imp_push.planned_push.msg_id IS
	'message id of the IM';
COMMENT ON COLUMN imp_push.planned_push.recipient IS
	'recipient of the message';
COMMENT ON COLUMN imp_push.planned_push.device_id IS
	'device of the binding';
COMMENT ON COLUMN imp_push.planned_push.certificate IS
	'certificate of the binding';
COMMENT ON COLUMN imp_push.planned_push.token IS
	'device token, for the path of the request';
COMMENT ON COLUMN imp_push.planned_push.payload IS
	'body of the request';
COMMENT ON COLUMN imp_push.planned_push.topic IS
	'apns-topic';
COMMENT ON COLUMN imp_push.planned_push.push_type IS
	'apns-push-type';
COMMENT ON COLUMN imp_push.planned_push.priority IS
	'apns-priority';
COMMENT ON COLUMN imp_push.planned_push.expiration IS
	'apns-expiration';
COMMENT ON COLUMN imp_push.planned_push.collapse_id IS
	'apns-collapse-id; NULL: none';
COMMENT ON COLUMN imp_push.planned_push.apns_id IS
	'apns-id';
COMMENT ON COLUMN imp_push.planned_push.expires_at IS
	'end of the message''s life';
COMMENT ON COLUMN imp_push.planned_push.detail IS
	'what delivery will show beside the outcome';
COMMENT ON COLUMN imp_push.planned_push.attempts IS
	'attempts that were charged so far';
COMMENT ON COLUMN imp_push.planned_push.waiting IS
	'it has a row in waiting or direct_push';
COMMENT ON COLUMN imp_push.planned_push.probe IS
	'it goes even if the circuit is open';
COMMENT ON COLUMN imp_push.planned_push.created_at IS
	'time of the message';
-- What a decision and a push of it have in common says the same.
DO $$
DECLARE
	line text;
BEGIN
	FOR line IN
		SELECT format('COMMENT ON COLUMN imp_push.decision.%I IS %L', p.attname,
			col_description(p.attrelid, p.attnum))
		FROM pg_attribute d
			JOIN pg_attribute p ON p.attname = d.attname
		WHERE d.attrelid = 'imp_push.decision'::regclass
			AND p.attrelid = 'imp_push.planned_push'::regclass
	LOOP
		EXECUTE line;
	END LOOP;
END $$;
COMMENT ON COLUMN imp_push.decision.check_no IS
	'the first check that fails; NULL: it is pushed';

\set SHOW_CONTEXT never

INSERT INTO imp_push.template VALUES
	('default', 'News', ''),
	('Order_2', 'Order {0}', '{$fromNickname}: {$msg}'),
	(repeat('n', 64), '', '');
SELECT left(name, 10) AS name, title, content FROM imp_push.template ORDER BY name COLLATE "C";

-- A wrong value is refused, and the error says what is allowed.
INSERT INTO imp_push.template VALUES (repeat('n', 65), 'x', 'x');
INSERT INTO imp_push.template VALUES ('', 'x', 'x');
INSERT INTO imp_push.template VALUES ('订单', 'x', 'x');
INSERT INTO imp_push.template VALUES (E'order\n', 'x', 'x');
INSERT INTO imp_push.template VALUES (NULL, 'x', 'x');
INSERT INTO imp_push.template (name, content) VALUES ('half', 'x');
INSERT INTO imp_push.template (name, title) VALUES ('half', 'x');
INSERT INTO imp_push.template VALUES ('default', 'x', 'x');

DELETE FROM imp_push.template;

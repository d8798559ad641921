# What became of one push cannot be written down at all: everybody else's is.

use strict;
use warnings;

use ImpPush;
use ImpPush::Faults;
use Test::More;

my $users = 300;
my $sim = start_simulator();
my $node = new_node(
	'main',
	simulator => $sim,
	conf => 'log_statement = none');

sub settled_are
{
	my ($number, $name) = @_;

	return ok(
		$node->poll_query_until(
			'postgres', "SELECT count(*) = $number FROM imp_push.delivery
			WHERE status = 'sent'"),
		$name);
}

bind_users($node, $users);
$node->safe_psql(
	'postgres', q{
	CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql
		AS $$BEGIN RAISE EXCEPTION 'not this one'; END$$;
	CREATE TRIGGER refuse BEFORE INSERT ON imp_push.delivery_log
		FOR EACH ROW WHEN (NEW.recipient IN ('user7', 'user8'))
		EXECUTE FUNCTION refuse()});
insert_to_users($node, $users, msg_id => 'first');
settled_are($users - 2, 'others of the same batch');
insert_to_users($node, 6, msg_id => 'second');
settled_are($users + 4, 'and those that come after it');
$node->safe_psql('postgres', 'DROP FUNCTION refuse() CASCADE');
wait_settled($node);
is( $node->safe_psql(
		'postgres', q{SELECT recipient, status, reason FROM imp_push.delivery
		WHERE status <> 'sent' ORDER BY recipient}),
	"user7|failed|P0001\nuser8|failed|P0001",
	'it is written down as soon as it can be');
none_lost($sim, $users + 6, 'all were sent');

done_testing();

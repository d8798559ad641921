# A certificate that cannot be loaded, for what goes with it cannot be written
# down: it is tried again and again, and leaves nothing behind.

use strict;
use warnings;

use ImpPush;
use PostgreSQL::Test::Utils;
use Test::More;

my $sim = start_simulator();
my $node = new_node('main', simulator => $sim);
my $pid = wait_for_worker($node);

sub logged
{
	my ($pattern) = @_;

	return scalar(() = slurp_file($node->logfile) =~ /$pattern/g);
}

# The certificates that are in the worker's memory
sub loaded
{
	my $before = logged('level: \d+; (\[\d+\] )?imp_push certificate:');
	my $totals = logged('Grand total');

	$node->safe_psql('postgres', "SELECT pg_log_backend_memory_contexts($pid)");
	wait_until(sub { return logged('Grand total') > $totals },
		undef, 'what is in its memory');
	return logged('level: \d+; (\[\d+\] )?imp_push certificate:') - $before;
}

bind_users($node, 1);
insert_message($node, 'user1', 'hello', msg_id => 'before');
wait_settled($node);
is(loaded(), 1, 'a certificate is loaded once');

$node->safe_psql(
	'postgres', q{
	CREATE SEQUENCE public.tries;
	CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql
		AS $$BEGIN RAISE EXCEPTION 'not this one: %', nextval('public.tries'); END$$;
	CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON imp_push.certificate_state
		FOR EACH ROW WHEN (NEW.certificate = 'other')
		EXECUTE FUNCTION refuse()});
set_certificate($node, 'other', $sim);
$node->poll_query_until('postgres', 'SELECT last_value >= 3 FROM tries')
  or die 'it is not tried again';

# It may be trying just now.
wait_until(sub { return loaded() == 1 }, 30, 'nothing to be left of it');
pass('one that cannot be loaded is not there');

$node->safe_psql('postgres', 'DROP FUNCTION refuse() CASCADE');
bind_users($node, 1, certificate => 'other', device => 'pad');
insert_message($node, 'user1', 'hello', msg_id => 'after');
wait_settled($node);
is( $node->safe_psql(
		'postgres', q{SELECT certificate, status FROM imp_push.delivery
		WHERE msg_id = 'after' ORDER BY 1}),
	"chat|sent\nother|sent",
	'it is used as soon as it can be loaded');
is(loaded(), 2, 'and is loaded once');

done_testing();

# size.pl: bytes written to the WAL a push.
#
# Storing the message and pushing it apart.  Full page images depend on the
# checkpoints and are shown apart: right after a checkpoint, as here, there are
# as many as there can be.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Bench;
use Report;

my $n = size_of(100_000, 10_000);

sub wal_of
{
	my ($what, $code) = @_;
	my @before = wal_stats();

	$code->();
	sleep 1;    # the statistics are reported at the end of a transaction
	my @after = wal_stats();
	my ($records, $images, $bytes) = map { $after[$_] - $before[$_] } 0 .. 2;
	table_row($what, sprintf('%.2f', $records / $n),
		sprintf('%.3f', $images / $n), sprintf('%.0f', $bytes / $n));
	figure('size', $what, 'records', '', $records / $n);
	figure('size', $what, 'images', '', $images / $n);
	figure('size', $what, 'bytes', 'B', $bytes / $n);
	return;
}

heading("size: WAL a message, $n messages");
start_sink('--no-log');
create_people($n);
fresh_messages('imp_push.offline_message', 1, 'warm');
psql('TRUNCATE bench.plain_message');
table_row('', 'records', 'page images', 'bytes');
for my $images ('on', 'off')
{
	configure(full_page_writes => $images);
	psql('CHECKPOINT');
	wal_of("storing, full_page_writes $images",
		sub { add_messages('imp_push.offline_message', $n, "size $images-") });
	psql('CHECKPOINT');
	wal_of("pushing, full_page_writes $images", sub { push_cost($n) });
	psql('CHECKPOINT');
	wal_of("plain table, full_page_writes $images",
		sub { add_messages('bench.plain_message', $n, "size $images-") });
}
configure(full_page_writes => 'on');
1;

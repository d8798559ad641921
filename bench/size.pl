# size.pl: bytes written to the WAL a push.
#
# Storing the message and pushing it apart.  Full page images depend on the
# checkpoints and are shown apart: right after a checkpoint, as here, there are
# as many as there can be.

package Bench::Size;

use strict;
use warnings;
use utf8;

use Bench;
use Report;

my $n = size_of(100_000, 10_000);
my @rows;

sub wal_of
{
	my ($what, $code) = @_;
	my @before = wal_stats();

	$code->();
	sleep 1;    # the statistics are reported at the end of a transaction
	my @after = wal_stats();
	my ($records, $images, $bytes) = map { $after[$_] - $before[$_] } 0 .. 2;
	push @rows,
	  [
		$what,
		sprintf('%.2f', $records / $n),
		sprintf('%.3f', $images / $n),
		sprintf('%.0f', $bytes / $n)
	  ];
	note("$what: $rows[-1][3] bytes");
	figure('size', $what, 'records', '', $records / $n);
	figure('size', $what, 'images', '', $images / $n);
	figure('size', $what, 'bytes', 'B', $bytes / $n);
	return;
}

start_sink('--no-log');
create_people($n);
fresh_messages('imp_push.offline_message', 1, 'warm');
psql('TRUNCATE bench.plain_message');
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
report(
	title => 'size: bytes written to the WAL a message',
	about => [
		"$n messages, one device each.  Storing is what the inserting session writes,",
		'pushing what the worker does; plain table: storing without anything of ours.'
	],
	columns => [ 'records', 'page images', 'bytes' ],
	rows => \@rows,
	notes => [
		'page images: copies of whole pages, at the first change after a checkpoint;',
		'there has just been one.  Off: what is written besides them.',
		'bar: half of the first measurement'
	]);
1;

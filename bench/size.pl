# size.pl: bytes written to the WAL a push.
#
# Storing the message and pushing it apart, into tables that have as many rows
# already.  Full page images depend on the checkpoints and are shown apart: right
# after a checkpoint, as here, there are as many as there can be.  Which records
# the bytes besides them are in, pg_walinspect tells, where PostgreSQL has it (15
# and later).

package Bench::Size;

use strict;
use warnings;
use utf8;

use Bench;
use Report;

my $n = size_of(100_000, 10_000);
my $messages = 'imp_push.offline_message';
my $inspecting = query_value("SELECT EXISTS (SELECT FROM pg_available_extensions
	WHERE name = 'pg_walinspect')") eq 't';
my @rows;
my %bytes_of;    # record → what is done → bytes

sub wal_position { return query_value('SELECT pg_current_wal_insert_lsn()'); }

sub wal_of
{
	my ($what, $images, $code) = @_;

	psql('CHECKPOINT');
	my @before = wal_stats();
	my $from = wal_position();

	$code->();
	sleep 1;    # the statistics are reported at the end of a transaction
	my $to = wal_position();
	my @after = wal_stats();
	my ($records, $pages, $bytes) = map { $after[$_] - $before[$_] } 0 .. 2;
	push @rows,
	  [
		"$what, full_page_writes $images",
		sprintf('%.2f', $records / $n),
		sprintf('%.3f', $pages / $n),
		sprintf('%.0f', $bytes / $n)
	  ];
	note("$rows[-1][0]: $rows[-1][3] bytes");
	figure('size', $rows[-1][0], 'records', '', $records / $n);
	figure('size', $rows[-1][0], 'images', '', $pages / $n);
	figure('size', $rows[-1][0], 'bytes', 'B', $bytes / $n);
	inspect($what, $from, $to) if $inspecting && $images eq 'off';
	return;
}

sub inspect
{
	my ($what, $from, $to) = @_;

	for my $line (ask("SELECT \"resource_manager/record_type\", record_size
		FROM pg_get_wal_stats('$from', '$to', per_record => true)"))
	{
		my ($record, $bytes) = split /\|/, $line;
		$bytes_of{$record}{$what} = $bytes / $n;
	}
	return;
}

# A line for each kind of record that makes a byte a message or more somewhere.
sub report_records
{
	my @done = ('storing', 'pushing', 'plain table');
	my $most = sub {
		my ($record) = @_;

		return (sort { $b <=> $a } map { $_ // 0 } @{ $bytes_of{$record} }{@done})[0];
	};
	my @records = sort { $most->($b) <=> $most->($a) }
	  grep { $most->($_) >= 1 } keys %bytes_of;

	report(
		title => 'size: which records these bytes are in',
		about => ['Bytes a message, full_page_writes off.'],
		columns => \@done,
		rows => [
			map {
				my $record = $_;
				[ $record,
					map { sprintf '%.0f', $bytes_of{$record}{$_} // 0 } @done ]
			} @records
		]);
	return;
}

start_sink('--no-log');
create_people($n);
psql('CREATE EXTENSION pg_walinspect') if $inspecting;
psql('TRUNCATE bench.plain_message');
fresh_messages($messages, $n, 'before-');
add_messages('bench.plain_message', $n, 'before-');
push_cost($n);
for my $images ('on', 'off')
{
	configure(full_page_writes => $images);
	wal_of('storing', $images,
		sub { add_messages($messages, $n, "size $images-") });
	wal_of('pushing', $images, sub { push_cost($n) });
	wal_of('plain table', $images,
		sub { add_messages('bench.plain_message', $n, "size $images-") });
}
configure(full_page_writes => 'on');
report(
	title => 'size: bytes written to the WAL a message',
	about => [
		"$n messages, one device each, into tables that hold as many.  Storing is what",
		'the inserting session writes, pushing what the worker does; plain table: storing',
		'without anything of ours.'
	],
	columns => [ 'records', 'page images', 'bytes' ],
	rows => \@rows,
	notes => [
		'page images: copies of whole pages, at the first change after a checkpoint;',
		'there has just been one.  Off: what is written besides them.',
		'bar: half of the first measurement'
	]);
report_records() if $inspecting;
1;

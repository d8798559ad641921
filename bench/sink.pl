# sink.pl: how fast is the sink?
#
# h2load, the load generator of nghttp2, over one connection with a hundred
# requests in flight, with the headers and a body as imp_push sends them, to
# apnsim that keeps a log and to one that keeps none, in turn.  A sink that is
# not much faster than what is measured with it would measure itself.

package Bench::Sink;

use strict;
use warnings;
use utf8;

use Bench;
use Median;
use Report;

my $requests = size_of(400_000, 50_000, 10_000);
my $rounds = $ENV{BENCH_ROUNDS} || size_of(5, 3, 1);
my $in_flight = 100;
my $payload = '{"aps":{"alert":{"title":"You have a new message",'
  . '"body":"Tap to view"},"badge":1,"sound":"default",'
  . '"thread-id":"chat:u7920"},"f":"u7920","t":"u1234","m":"a-message-1234"}';
my @sinks = ([ 'without a log', '--no-log' ], [ 'with the log' ]);
my %values;

if (!grep { -x "$_/h2load" } split /:/, $ENV{PATH})
{
	note('left out: there is no h2load');
	return 1;
}

sub headers
{
	my %header = (
		'authorization' => fake_token(),
		'apns-topic' => 'com.example.chat',
		'apns-push-type' => 'alert',
		'apns-priority' => '10',
		'apns-expiration' => int(time) + 86_400,
		'apns-collapse-id' => 'a-message-1234',
		'apns-id' => '01234567-89ab-4cde-8f01-23456789abcd');

	return map { ('-H', "$_: $header{$_}") } sort keys %header;
}

sub measure
{
	my ($what, @options) = @_;
	my $sink = start_sink(@options);
	my $cpu = cpu_of($sink->{pid});
	my $output = run_program('h2load', '-n', $requests, '-c', 1, '-m', $in_flight,
		'-d', work_dir() . '/payload', headers(),
		url() . '/3/device/' . 'a0' x 32);
	my ($rate) = $output =~ m{([\d.]+) req/s};
	my $accepted = sink_stats()->{accepted};

	die "only $accepted of $requests were accepted:\n$output"
	  if $accepted != $requests;
	$cpu = (cpu_of($sink->{pid}) - $cpu) / $requests * 1e6;
	push @{ $values{$what}{rate} }, $rate;
	push @{ $values{$what}{cpu} }, $cpu;
	note(sprintf '%-14s %.0f/s, CPU %.1f µs a request', $what, $rate, $cpu);
	return;
}

open my $file, '>', work_dir() . '/payload' or die;
print $file $payload;
close $file or die;
for my $round (1 .. $rounds)
{
	measure(@$_) for @sinks;
}

my @rows;
for my $what (map { $_->[0] } @sinks)
{
	my ($rate, $cpu) = @{ $values{$what} }{qw(rate cpu)};

	push @rows,
	  [
		$what,
		sprintf('%.0f', median(@$rate)), range('%.0f', @$rate),
		sprintf('%.1f', median(@$cpu)), range('%.1f', @$cpu)
	  ];
	figure('sink', $what, 'rate', '1/s', @$rate);
	figure('sink', $what, 'cpu', 'us', @$cpu);
}
report(
	title => 'sink: requests a second that apnsim takes from h2load',
	about => [
		"$requests requests over one connection, $in_flight in flight, "
		  . length($payload) . ' bytes each.',
		'Medians of ' . rounds($rounds) . '.'
	],
	columns => [ 'requests/s', 'from–to', 'sink CPU µs/request', 'from–to' ],
	rows => \@rows,
	notes => ['h2load runs on the same machine, and costs about as much itself.']);
1;

# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors

# perl: hashes of arrays, regular expressions, sorting and string building. First argument: scale in percent.

use strict;
use warnings;

my $scale = (shift // 100) / 100;

sub scaled { my $n = int($_[0] * $scale); return $n < 1 ? 1 : $n; }

# A generator of our own, so that the work is the same with every perl.
my $seed = 42;
sub below { $seed = ($seed * 1103515245 + 12345) % 2147483648; return int($seed / 65536) % $_[0]; }

my $total = 0;
for my $round (1 .. scaled(3)) {
    my (%visits, %agents, @lines);
    for my $n (1 .. 50000) {
        my $host = '10.0.' . below(200) . '.' . below(250);
        push @lines, sprintf('%s GET /page/%d?id=%d "agent %d"', $host, below(3000), $n, below(40));
    }
    for my $line (@lines) {
        next unless $line =~ m{^(\S+) (\w+) (/[^?]*)\?id=(\d+) "([^"]+)"};
        push @{ $visits{$1} }, { path => $3, id => $4 };
        $agents{$5}{$3}++;
    }
    for my $host (sort keys %visits) {
        my $text = join ',', map { "$_->{path}#$_->{id}" } sort { $a->{path} cmp $b->{path} } @{ $visits{$host} };
        ($text = uc $text) =~ s/PAGE/p/g;
        $total += length $text;
    }
    $total += keys %{ $agents{$_} } for sort keys %agents;
}
print "perl $total\n";

# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
# heavy.pl: strings, hashes, nested structures, regular expressions, sorting and weak cycles in perl, with a checksum
# line per part. Keys are sorted before they are printed: perl orders hashes at random.
use strict;
use warnings;
use Digest::MD5 qw(md5_hex);
use Scalar::Util qw(weaken);

my $state = 12345;
sub random { $state = ($state * 1103515245 + 12345) % 2147483648; return int($state / 65536) % $_[0]; }

my %words;
for my $n (1 .. 120000) {
    my $word = join '', map { chr(97 + random(26)) } 1 .. 1 + random(6);
    push @{$words{$word}}, $n;
    delete $words{$word} if $n % 7 == 0;
}
print 'words ', scalar(keys %words), ' ', md5_hex(join ',', map { "$_:@{$words{$_}}" } sort keys %words), "\n";

my @tree;
for my $n (1 .. 30000) {
    my $node = { name => 'n' x random(90), children => [] };
    if (@tree) {
        my $parent = $tree[random(scalar @tree)];
        push @{$parent->{children}}, $node;
        $node->{parent} = $parent;
        weaken $node->{parent};
    }
    push @tree, $node;
}
my $depths = 0;
for my $node (@tree) { for (my $p = $node; $p; $p = $p->{parent}) { $depths += length $p->{name}; } }
print "tree $depths\n";

my $text = '';
for my $n (1 .. 60000) { $text .= "key$n=" . ('v' x random(40)) . ';'; }
my $found = 0;
while ($text =~ /key(\d+)=(v*);/g) { $found += $1 * length $2; }
(my $swapped = $text) =~ s/key(\d+)=(v*);/$2:$1,/g;
print "text $found ", md5_hex($swapped), "\n";

my @sorted = sort { $a->[1] cmp $b->[1] or $a->[0] <=> $b->[0] } map { [$_, md5_hex($_)] } 1 .. 60000;
print 'sorted ', md5_hex(join ' ', map { $_->[0] } @sorted), "\n";

my $pid = open(my $child, '-|') // die "fork: $!";
if (!$pid) { my @copy = map { {%$_, extra => 'c' x 50} } @tree; print scalar(@copy), "\n"; exit 0; }
print 'child ', <$child>;
close $child;

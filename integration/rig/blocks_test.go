//go:build linux

package rig

import "testing"

// TestBlocks shows that the check above finds what it is there for.
func TestBlocks(t *testing.T) {
	data := make([]byte, 200)
	for i := range data {
		data[i] = byte(i)
	}
	b := NewBlocks()
	one, other := b.Stream("one"), b.Stream("other")
	one.Add(data[:7])
	one.Add(data[7:100])
	other.Add(data[100:])
	if len(b.twice) != 0 {
		t.Fatalf("found %v in a stream without repetition", b.twice)
	}
	other.Add(data[33 : 33+blockSize-1])
	if len(b.twice) != 0 {
		t.Fatalf("found %v in less than a block", b.twice)
	}
	other.Add(data[33+blockSize-1 : 33+blockSize])
	if len(b.twice) != 1 || b.twice[0] != "one at 33 and other at 100" {
		t.Fatalf("found %q", b.twice)
	}
}

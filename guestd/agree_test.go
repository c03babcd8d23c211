//go:build linux

package main

import (
	"testing"

	"headgate/guestd/pipe"
	"headgate/xen"
)

// guestd does not link hostd's end of Xen's pipes; what both name is the same.
func TestBothEndsAgree(t *testing.T) {
	for ours, theirs := range map[string]string{
		pipe.RingPath: xen.RingPath, pipe.BellPath: xen.BellPath, pipe.PortName: xen.ChannelName,
	} {
		if ours != theirs {
			t.Errorf("guestd has %q, hostd %q", ours, theirs)
		}
	}
}

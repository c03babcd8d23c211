package config

import (
	"fmt"
	"strings"
	"testing"
)

// In the longest folder every domain that goes by its UUID has all its sockets.
func TestTheFolderOfTheDomainsSocketsIsBounded(t *testing.T) {
	const uuid = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"
	for _, more := range []int{0, 1} {
		l := Libvirt{Guests: "/" + strings.Repeat("x", maxGuestsPath-1+more)}
		_, err := Parse("hostd.toml", []byte(fmt.Sprintf("[libvirt]\nguests = %q\n", l.Guests)))
		if (err != nil) != (more > 0) {
			t.Errorf("%d bytes: %v", len(l.Guests), err)
		}
		longest := 0
		for _, path := range []string{l.GuestSocket(uuid), l.GuestPort(uuid), l.GuestVhost(uuid)} {
			longest = max(longest, len(path))
			if err := checkSocketPath(path); more == 0 && err != nil {
				t.Error(err)
			}
		}
		if longest != maxSocketPath+more {
			t.Errorf("the longest path has %d bytes of %d", longest, maxSocketPath)
		}
	}
	if p, err := ParsePipe(VhostUser + ":" + defaultLibvirt().GuestVhost(strings.Repeat("x", 63))); err != nil || p.Listens() {
		t.Errorf("%+v, %v", p, err)
	}
}

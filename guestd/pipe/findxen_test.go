//go:build linux

package pipe

import (
	"errors"
	"os"
	"strings"
	"testing"
)

func TestFindXen(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		none  bool
		err   string
	}{
		"not Xen":         {none: true},
		"domain 0":        {files: map[string]string{"dev/xen/xenbus": "", "proc/xen/capabilities": "control_d\n"}, none: true},
		"without modules": {files: map[string]string{"dev/xen/xenbus": ""}, err: "/dev/xen/gntalloc: modprobe xen_gntalloc xen_evtchn"},
		"without one":     {files: map[string]string{"proc/xen/xenbus": "", "proc/xen/capabilities": "", "dev/xen/gntalloc": ""}, err: "/dev/xen/evtchn: modprobe"},
	} {
		pl := tree(t, c.files)
		for _, k := range []Kind{VchanKind, ChannelKind} {
			_, err := pl.Open(k)
			if c.none != errors.Is(err, ErrNone) || err == nil {
				t.Errorf("%s: %s: %v", name, k, err)
			}
			if k == VchanKind && c.err != "" && !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func TestOneGuestdAtATime(t *testing.T) {
	pl := tree(t, map[string]string{"dev/xen/xenbus": "", "dev/xen/gntalloc": "", "dev/xen/evtchn": ""})
	f, err := os.Open(pl.Root + gntalloc)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if err := own(f); err != nil {
		t.Fatal(err)
	}
	if _, err := pl.Open(VchanKind); err == nil || !strings.Contains(err.Error(), "is another guestd running?") {
		t.Errorf("%v", err)
	}
}

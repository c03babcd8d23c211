//go:build linux

package xen

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"headgate/integration/rig"
)

// TestXen runs all that takes domUs, in an order in which those that nobody has
// seeded yet come to the tests that want such. A boot takes as long as most of them,
// so that they share the domUs.
func TestXen(t *testing.T) {
	shared := sharing{folder: rig.Dir(t), domUs: map[string]*rig.DomU{}}
	t.Cleanup(shared.close)
	for _, part := range []struct {
		name string
		run  func(*testing.T, *sharing)
	}{
		{"commands without a domain", commandsAlone},
		{"example configuration", exampleConfig},
		{"guestd", guestdInDomU},
		{"hostd", hostdInDom0},
		{"vchan", vchanAcross},
		{"processor", processorState},
		{"hostile", hostileGuest},
		{"commands", commands},
		{"example create", exampleCreate},
	} {
		if !t.Run(part.name, func(t *testing.T) { part.run(t, &shared) }) {
			// At once: go test says it when all the others have run, if they come so far.
			fmt.Printf("%s: TestXen/%s; the others are run still\n", rig.FailedMark, part.name)
		}
	}
	t.Run("nothing is left", func(t *testing.T) {
		shared.close()
		until(t, "no domain is left", func() bool {
			out, err := rig.XL(t.Context(), "list")
			return err == nil && len(strings.Split(strings.TrimSpace(out), "\n")) == 2 // the heading and Domain-0
		})
	})
}

// kinds are those of the domUs that the tests share; db1 and web1 have a channel, too.
var kinds = map[string]string{"db1": "pv", "web1": "pvh", "light": "pv", "heavy": "pv", "late": "pvh"}

// sharing has the domUs.
type sharing struct {
	folder string
	domUs  map[string]*rig.DomU
}

// channelOf is the socket of a domU's channel.
func (s *sharing) channelOf(name string) string { return filepath.Join(s.folder, name+".sock") }

// get gives domUs by name, which are up then. They boot one after the other: a PVH
// kernel that shares an emulated processor takes minutes to find out how fast it is.
//
// A test that fails ends them: it may have left programs in them, and a guestd or another
// that offers a ring takes the place of the one that the next test's program offers.
func (s *sharing) get(t *testing.T, names ...string) []*rig.DomU {
	t.Helper()
	domUs := make([]*rig.DomU, len(names))
	for i, name := range names {
		if domUs[i] = s.domUs[name]; domUs[i] == nil {
			domUs[i] = s.prepare(t, name)
		}
		d := domUs[i]
		t.Cleanup(func() {
			if t.Failed() {
				t.Logf("the end of the console of %s:\n%s", d.Name, rig.Tail(d.Log, 10))
				s.end(d.Name)
			}
		})
		if d.ID() != 0 {
			continue
		}
		if err := d.Create(context.WithoutCancel(t.Context())); err != nil {
			t.Fatal(err)
		}
	}
	return domUs
}

// prepare writes a domU's configuration. It has its UUID then, and is not there.
func (s *sharing) prepare(t *testing.T, name string) *rig.DomU {
	t.Helper()
	c := rig.DomUConfig{Name: name, Type: kinds[name]}
	if strings.HasSuffix(name, "1") {
		c.Channel = s.channelOf(name)
	}
	d, err := rig.NewDomU(s.folder, c)
	if err != nil {
		t.Fatal(err)
	}
	s.domUs[name] = d
	return d
}

// end ends a domU that no other test takes. Those of kind pvh are best ended early: a
// processor emulated in an emulated one takes them down now and then, with a triple
// fault at an address of Xen's own.
func (s *sharing) end(name string) {
	if d := s.domUs[name]; d != nil {
		d.Close()
		delete(s.domUs, name)
	}
}

// close ends the domUs that are left.
func (s *sharing) close() {
	for name := range s.domUs {
		s.end(name)
	}
}

// partTime bounds each part but one: it takes a minute at most on a quiet machine. All
// together, they are bounded by the rig.
const partTime = 2 * time.Minute

// until waits for what is to come soon.
func until(t *testing.T, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(40 * time.Second); !so(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("still not: ", what)
		}
	}
}

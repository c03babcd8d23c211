package daemon

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"headgate/guestd/kernelpool"
	"headgate/hostd/events"
)

// fakePool is a kernel's pool that takes everything, or refuses it.
type fakePool struct {
	mu      sync.Mutex
	refuses error  // what Add and Reseed say
	opens   int    // not closed again
	adds    []int  // bits of each
	last    []byte // the memory that was added last
	seen    [][]byte
	events  []string
}

func (p *fakePool) open() (kernelPool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.opens++
	return p, nil
}

func (p *fakePool) Add(data []byte, bits int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refuses != nil {
		return p.refuses
	}
	p.adds, p.last, p.seen = append(p.adds, bits), data, append(p.seen, slices.Clone(data))
	p.events = append(p.events, "add")
	return nil
}

func (p *fakePool) Reseed() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.events = append(p.events, "reseed")
	if p.refuses != nil {
		return p.refuses
	}
	if len(p.adds) == 0 {
		return kernelpool.ErrNotReady
	}
	return nil
}

func (p *fakePool) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.opens--
	return nil
}

func (p *fakePool) refuse(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuses = err
}

func (p *fakePool) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.adds)
}

// feeds runs a daemon that feeds p each few milliseconds, where the configuration says so.
func feeds(t *testing.T, p *fakePool, text string) *rig {
	t.Helper()
	return start(t, t.TempDir(), text, func(d *Daemon) { d.host.open, d.host.every = p.open, 5*time.Millisecond })
}

func (r *rig) until(what string, ok func() bool) {
	r.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			r.t.Fatalf("%s: %+v\n%+v", what, r.Status().Host, r.Events().Since(0))
		}
		time.Sleep(time.Millisecond)
	}
}

// said are the events of a kind.
func (r *rig) said(kind string) (list []events.Event) {
	return slices.DeleteFunc(r.Events().Since(0), func(e events.Event) bool { return e.Kind != kind })
}

const bulk = `
[[class]]
name = "bulk"
rate = "unlimited"
quality = "drbg"
`

func TestTheHostIsFed(t *testing.T) {
	for name, tc := range map[string]struct {
		more string
		bits int
	}{
		"full": {"[[class]]\nname = \"default\"\nrate = \"unlimited\"\n[host]\nfeed = true\n", 512},
		"drbg": {bulk + "[host]\nfeed = true\nclass = \"bulk\"\n", 256},
	} {
		t.Run(name, func(t *testing.T) {
			p := &fakePool{}
			r := feeds(t, p, plenty+tc.more)
			r.until("fed", func() bool { return p.count() >= 3 && r.Status().Host.Bytes >= 3*64 })
			r.stop()
			h := r.Status().Host
			if h.CreditedBits != h.Bytes/64*uint64(tc.bits) || h.FedAt.IsZero() || h.Error != "" || !h.Feed || h.Quality != name {
				t.Errorf("%+v", h)
			}
			if p.opens != 0 {
				t.Errorf("%d pools are open", p.opens)
			}
			for _, bits := range p.adds {
				if bits != tc.bits {
					t.Errorf("credited %d bits, want %d", bits, tc.bits)
				}
			}
			if want := []string{"reseed", "add", "reseed", "reseed", "add"}; !slices.Equal(p.events[:5], want) {
				t.Errorf("%q, want %q", p.events[:5], want)
			}
			if !bytes.Equal(p.last, make([]byte, hostBytes)) {
				t.Error("the bytes were not zeroed")
			}
			for i, b := range p.seen {
				if len(b) != hostBytes || bytes.Equal(b, make([]byte, hostBytes)) || i > 0 && bytes.Equal(b, p.seen[i-1]) {
					t.Errorf("time %d: %x", i, b)
				}
			}
			if n := len(r.said("host_fed")); n != 1 {
				t.Errorf("said %d times that it is fed, want once", n)
			}
		})
	}
}

// A hostd that may not do it takes no bytes for it, says so once, and goes on.
func TestTheHostMayNotBeFed(t *testing.T) {
	p := &fakePool{refuses: kernelpool.ErrPermission}
	r := feeds(t, p, plenty+"[host]\nfeed = true\n")
	r.until("refused", func() bool { p.mu.Lock(); defer p.mu.Unlock(); return len(p.events) > 3 })
	s := r.Status()
	const want = "it takes CAP_SYS_ADMIN: examples/systemd/hostd-feed.conf gives it to hostd"
	if s.Host.Error != want || !slices.ContainsFunc(s.Warnings, func(w string) bool { return strings.Contains(w, want) }) {
		t.Errorf("%+v, warnings %q", s.Host, s.Warnings)
	}
	if said := r.said("host_unfed"); len(said) != 1 || !strings.Contains(said[0].Message, want) {
		t.Errorf("%+v", said)
	}
	d := r.Daemon
	d.mu.Lock()
	taken := d.host.tap.Stats().Bytes
	d.mu.Unlock()
	if taken != 0 {
		t.Errorf("%d bytes were taken and could not be used", taken)
	}
	p.refuse(errors.New("the pool is out"))
	r.until("another reason", func() bool { return len(r.said("host_unfed")) == 2 })
	p.refuse(nil)
	r.until("it may", func() bool { return p.count() > 0 && r.Status().Host.Error == "" })
	if n := len(r.said("host_fed")); n != 1 || r.Status().Host.Bytes == 0 {
		t.Errorf("said %d times that it is fed: %+v", n, r.Status().Host)
	}
}

// Whether the host is fed, and with what, changes live; what it had is still counted.
func TestTheHostsFeedChangesLive(t *testing.T) {
	p := &fakePool{}
	r := feeds(t, p, plenty+bulk)
	reload := func(more string) {
		r.write(plenty + bulk + more)
		if err := r.Reload(); err != nil {
			t.Fatal(err)
		}
	}
	if h := r.Status().Host; h.Feed || p.count() > 0 {
		t.Fatalf("%+v", h)
	}
	reload("[host]\nfeed = true\nclass = \"bulk\"\n")
	r.until("fed", func() bool { return p.count() > 0 })
	reload("[host]\nfeed = true\nclass = \"default\"\n[[class]]\nname = \"default\"\nrate = \"unlimited\"\n")
	r.until("fed in full", func() bool { p.mu.Lock(); defer p.mu.Unlock(); return p.adds[len(p.adds)-1] == 512 })
	if n := len(r.said("host_fed")); n != 1 {
		t.Errorf("said %d times that it is fed, want once", n)
	}
	reload("")
	if h := r.Status().Host; h.Feed || h.Bytes == 0 {
		t.Errorf("%+v", h)
	}
	r.until("closed", func() bool { p.mu.Lock(); defer p.mu.Unlock(); return p.opens == 0 })
	before := p.count()
	reload("")
	reload("[host]\nfeed = true\nclass = \"bulk\"\n")
	r.until("fed again", func() bool { return p.count() > before })
}

// While there is nothing to give, the host waits as guests do, and hostd ends.
func TestTheHostWaits(t *testing.T) {
	p := &fakePool{}
	r := feeds(t, p, "[host]\nfeed = true\n")
	r.until("waiting", func() bool { return r.Status().Host.Waiting })
	if h := r.Status().Host; h.Bytes != 0 || h.Error != "" {
		t.Errorf("%+v", h)
	}
	r.stop()
	if p.count() != 0 || p.opens != 0 {
		t.Errorf("%d added, %d open", p.count(), p.opens)
	}
}

// The real pool of the machine that runs the test is fed, or says that it may not be.
func TestTheRealHost(t *testing.T) {
	r := start(t, t.TempDir(), plenty+"[host]\nfeed = true\n")
	r.until("fed or refused", func() bool { h := r.Status().Host; return h.Bytes > 0 || h.Error != "" })
	h := r.Status().Host
	if may := mayAdministrate(t); may != (h.Error == "") || may && (h.Bytes != 64 || h.CreditedBits != 512) {
		t.Errorf("with CAP_SYS_ADMIN: %v: %+v", may, h)
	}
}

func mayAdministrate(t *testing.T) bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		t.Fatal(err)
	}
	return data[0].Effective&(1<<unix.CAP_SYS_ADMIN) != 0
}

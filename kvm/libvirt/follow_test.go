package libvirt

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	rpc "github.com/digitalocean/go-libvirt"
)

// told is a sink that writes down what it is told, one word each.
type told struct {
	t     *testing.T
	words chan string
}

func (s *told) say(format string, args ...any) { s.words <- fmt.Sprintf(format, args...) }

func (s *told) at(asOf time.Time) {
	if asOf.IsZero() || asOf.After(time.Now()) {
		s.t.Errorf("as of %v", asOf)
	}
}

func (s *told) Up(d Domain, asOf time.Time) {
	s.at(asOf)
	s.say("up %s %d", d.Name, d.ID)
}

func (s *told) Resumed(uuid string, fresh bool) {
	if fresh {
		s.say("fresh %s", uuid)
		return
	}
	s.say("resumed %s", uuid)
}

func (s *told) Down(uuid, name string, asOf time.Time) {
	s.at(asOf)
	if _, err := parseUUID(uuid); err != nil {
		s.t.Error(err)
	}
	s.say("down %s", name)
}

func (s *told) All(active []Domain, unknown []string, asOf time.Time) {
	s.at(asOf)
	names := []string{}
	for _, d := range active {
		names = append(names, d.Name)
	}
	sort.Strings(names)
	if sort.Strings(unknown); len(unknown) > 0 {
		names = append(names, "and "+strings.Join(unknown, ","))
	}
	s.say("all %s", strings.Join(names, ","))
}

func (s *told) Held(uuid, name string) { s.say("held %s %s", name, uuid) }

func (s *told) Connected(socket, version string) { s.say("connected %s", version) }
func (s *told) Lost(err error)                   { s.say("lost %v", err) }

// want waits for the next words.
func (s *told) want(words ...string) {
	s.t.Helper()
	for _, want := range words {
		select {
		case got := <-s.words:
			if !strings.HasPrefix(got, want) {
				s.t.Fatalf("told %q, want %q", got, want)
			}
		case <-time.After(soon):
			s.t.Fatalf("not told %q", want)
		}
	}
}

// silent sees to it that nothing more is told.
func (s *told) silent() {
	s.t.Helper()
	select {
	case got := <-s.words:
		s.t.Fatalf("told %q", got)
	case <-time.After(30 * time.Millisecond):
	}
}

// pauseAgain is short, so that what is tried again is soon.
const pauseAgain = 10 * time.Millisecond

// follow runs a follower until the test ends, and sees to it that it ends then.
func follow(t *testing.T, path string, patience time.Duration) (*Follower, *told) {
	t.Helper()
	s := &told{t: t, words: make(chan string, 10000)}
	f := &Follower{Socket: path, Sink: s, patience: patience, again: pauseAgain}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(soon):
			t.Error("Run does not end")
		}
	})
	return f, s
}

func (f *fake) lifecycle(n int, e lifecycle) {
	f.tell(n, procLifecycle, uint32(e.event), uint32(e.detail))
}

func TestFollow(t *testing.T) {
	f := startFake(t, "")
	f.set(0, 1)
	f.set(1, -1)
	follower, s := follow(t, f.path, soon)
	s.want("connected 9.0.0", "all vma")

	f.set(1, 2)
	f.lifecycle(1, booted)
	s.want("up vmb 2")
	f.tell(1, procMetadata, 2, 0)
	s.want("up vmb 2")
	f.tell(1, procDeviceNew, 0)
	s.want("up vmb 2")
	f.tell(1, procDeviceGone, 0)
	s.want("up vmb 2")
	vmb := textOf(uuidOf(1))
	f.lifecycle(1, resumedSnapshot)
	s.want("fresh "+vmb, "up vmb 2")
	f.lifecycle(1, startedRestored)
	s.want("up vmb 2")
	f.lifecycle(1, resumedSnapshot)
	s.want("resumed "+vmb, "up vmb 2")
	f.lifecycle(1, paused)
	s.want("up vmb 2")
	f.lifecycle(1, resumed)
	s.want("resumed "+vmb, "up vmb 2")
	follower.Look(strings.ToUpper(textOf(uuidOf(0))))
	s.want("up vma 1")
	follower.Look("no UUID")
	f.set(1, -1)
	f.lifecycle(1, stopped)
	s.want("down vmb")
	// It was told of, and is not there any more when it is looked at.
	f.put(2, fakeDomain{name: "gone"})
	f.meanwhile(func(proc uint32, _ rpc.UUID) error {
		if proc == procByUUID {
			f.remove(2)
		}
		return nil
	})
	f.lifecycle(2, booted)
	s.want("down gone")
	// The same between the one request and the other.
	f.put(2, fakeDomain{name: "gone", id: 7})
	f.meanwhile(func(proc uint32, _ rpc.UUID) error {
		if proc == procXML {
			f.remove(2)
		}
		return nil
	})
	f.lifecycle(2, booted)
	s.want("down gone")
	f.meanwhile(nil)
	follower.Look(textOf(uuidOf(9)))
	s.want("down ")
	s.silent()
}

func TestLibvirtdComesAndGoes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run", "libvirt", "libvirt-sock-ro")
	follower, s := follow(t, path, soon)
	s.want("lost connect to " + path + ": no such file or directory: start libvirtd")
	s.silent()
	follower.Look(textOf(uuidOf(1))) // is answered by the list
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	f := startFake(t, path)
	f.set(0, 1)
	s.want("connected", "all")
	f.stop() // which takes its socket away
	s.want("lost libvirtd has closed the connection")
	s.silent()
	f = startFake(t, path)
	began := time.Now()
	f.set(0, 1)
	s.want("connected")
	if took := time.Since(began); took > maxPause {
		t.Errorf("it was found after %v", took)
	}
	s.want("all")
	f.drop()
	s.want("lost libvirtd has closed the connection", "connected", "all vma")
	s.silent()
}

// One that does not answer is left and tried again, and told of once. What was not
// looked at then is in the list afterwards, and what no list tells was told at once.
func TestLibvirtdHangs(t *testing.T) {
	f := startFake(t, "")
	f.set(0, 1)
	_, s := follow(t, f.path, 200*time.Millisecond)
	s.want("connected", "all vma")
	hung := make(chan struct{})
	f.meanwhile(func(uint32, rpc.UUID) error { <-hung; return nil })
	f.lifecycle(0, resumedSnapshot)
	s.want("fresh "+textOf(uuidOf(0)), "lost libvirtd does not answer", "lost connect to "+f.path+": libvirtd does not answer")
	s.silent()
	f.meanwhile(nil)
	close(hung)
	s.want("connected", "all vma")
	s.silent()
}

// Run ends with its context at any point of a conversation that does not go on.
func TestRunEndsWhileLibvirtdHangs(t *testing.T) {
	for _, proc := range []uint32{procAuthList, procOpen, procVersion, procRegister, procList, procByUUID, procXML, procClose} {
		f := startFake(t, "")
		f.set(0, 1)
		hung, at := make(chan struct{}), make(chan struct{}, 100)
		f.meanwhile(func(p uint32, _ rpc.UUID) error {
			if p == proc {
				at <- struct{}{}
				<-hung
			}
			return nil
		})
		s := &told{t: t, words: make(chan string, 1000)}
		follower := &Follower{Socket: f.path, Sink: s}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- follower.Run(ctx) }()
		if proc == procClose {
			s.want("connected")
		} else {
			<-at
		}
		began := time.Now()
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("%d: %v", proc, err)
			}
			if took := time.Since(began); took > 2*farewell {
				t.Errorf("%d: after %v", proc, took)
			}
		case <-time.After(soon):
			t.Fatalf("%d: Run does not end", proc)
		}
		close(hung)
		f.stop()
	}
}

// While one domain's answer is kept back, the others are told of; and that one is not
// asked for twice at once.
func TestOneDomainIsHeldUp(t *testing.T) {
	f := startFake(t, "")
	for n := range 8 {
		f.set(n, 1)
	}
	_, s := follow(t, f.path, soon)
	s.want("connected", "all")
	held, asked := make(chan struct{}), atomic.Int32{}
	f.meanwhile(func(proc uint32, uuid rpc.UUID) error {
		if proc == procXML && uuid == uuidOf(0) {
			asked.Add(1)
			<-held
		}
		return nil
	})
	for n := range 8 {
		f.lifecycle(n, booted)
	}
	for range 7 {
		s.want("up")
	}
	f.lifecycle(0, booted)
	s.silent()
	if n := asked.Load(); n != 1 {
		t.Errorf("asked %d times at once", n)
	}
	close(held)
	s.want("up vma 1", "up vma 1") // it was told of again meanwhile
	s.silent()
}

// A flood of events costs one look at each domain at a time.
func TestFlood(t *testing.T) {
	f := startFake(t, "")
	const domains, events = 5, 20000
	for n := range domains {
		f.set(n, 1)
	}
	_, s := follow(t, f.path, soon)
	s.want("connected", "all")
	before := f.count(procXML)
	release := make(chan struct{})
	f.meanwhile(func(proc uint32, _ rpc.UUID) error { <-release; return nil })
	for n := range events {
		f.lifecycle(n%domains, paused)
	}
	close(release)
	f.meanwhile(nil)
	f.set(0, 9)
	f.lifecycle(0, defined)
	for got := ""; got != "up vma 9"; {
		select {
		case got = <-s.words:
		case <-time.After(soon):
			t.Fatal("the last event was not followed up")
		}
	}
	if n := f.count(procXML) - before; n > events/10 {
		t.Errorf("%d looks for %d events", n, events)
	}
}

// More domains than may wait: the list says it all.
func TestOverflow(t *testing.T) {
	f := startFake(t, "")
	f.set(0, 1)
	follower, s := follow(t, f.path, soon)
	s.want("connected", "all vma")
	held := make(chan struct{})
	f.meanwhile(func(proc uint32, uuid rpc.UUID) error {
		if uuid != uuidOf(0) {
			<-held
		}
		return nil
	})
	for n := range maxHints + 2*lookers {
		follower.hints.add(uuidOf(n+1), hint{})
	}
	f.meanwhile(nil)
	close(held)
	for {
		select {
		case got := <-s.words:
			if got == "all vma" {
				s.silent()
				return
			}
			if got != "down " {
				t.Fatalf("told %q", got)
			}
		case <-time.After(soon):
			t.Fatal("not listed")
		}
	}
}

// The reason is told again when it is another.
func TestLostChanges(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sock")
	_, s := follow(t, path, soon)
	s.want("lost connect to " + path + ": no such file")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	s.want("lost connect to " + path + ": connection refused")
	s.silent()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	f := startFake(t, path)
	s.want("connected", "all")
	f.meanwhile(func(proc uint32, _ rpc.UUID) error {
		if proc == procList {
			return fakeError(rpc.ErrAccessDenied)
		}
		return nil
	})
	f.drop()
	s.want("lost libvirtd has closed", "lost list the domains: libvirt: as told: be root")
	s.silent()
}

func TestRefusedIsNotLost(t *testing.T) {
	var refused errRefused
	if !errors.As(refusal(rpc.Error{Code: uint32(rpc.ErrInternalError), Message: "a\xff"}), &refused) || refused != "a?" {
		t.Errorf("%q", refused)
	}
	noBus := rpc.Error{Code: uint32(rpc.ErrInternalError), Message: "internal error: Unable to get system bus connection: Could not connect"}
	if err := refusal(noBus); err == nil || !strings.Contains(err.Error(), "auth_unix_ro") {
		t.Errorf("%v does not say what to do", err)
	}
	if refusal(rpc.ErrInterrupted) != nil || refusal(rpc.ErrUnsupported) == nil {
		t.Error("told apart wrongly")
	}
}

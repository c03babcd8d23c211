package libvirt

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	rpc "github.com/digitalocean/go-libvirt"
)

// refusing has libvirtd refuse a call about one domain until it is called, and says
// how often it has.
func (f *fake) refusing(n int, call uint32, code rpc.ErrorNumber) (times *atomic.Int32) {
	times = new(atomic.Int32)
	f.meanwhile(func(proc uint32, uuid rpc.UUID) error {
		if proc == call && uuid == uuidOf(n) {
			times.Add(1)
			return fakeError(code)
		}
		return nil
	})
	return times
}

// Of a domain whose XML makes no sense nothing is told, and it is not taken for
// ended; the others are followed as ever.
func TestDomainThatCannotBeRead(t *testing.T) {
	f := startFake(t, "")
	f.put(1, fakeDomain{name: "odd", id: 4, xml: "<domain id='4'><name>"})
	f.set(0, 1)
	_, s := follow(t, f.path, soon)
	s.want("connected", "all vma,and "+textOf(uuidOf(1)))
	f.lifecycle(1, defined)
	f.lifecycle(0, booted)
	s.want("up vma 1")
	s.silent()
	f.put(1, fakeDomain{name: "odd", id: 4, xml: "<domain id='4'><name>odd</name></domain>"})
	s.want("up odd 4") // it is looked at again
	s.silent()
	f.put(1, fakeDomain{name: "odd", id: -1, xml: "<domain"})
	f.lifecycle(1, stopped)
	s.want("down odd") // it is found, and does not run
	s.silent()
}

// That libvirt does not give something out says nothing of the domain.
func TestRefusalsAreNoEnd(t *testing.T) {
	for _, call := range []uint32{procByUUID, procXML} {
		for _, code := range []rpc.ErrorNumber{rpc.ErrInternalError, rpc.ErrAccessDenied, rpc.ErrOperationTimeout, rpc.ErrOperationDenied} {
			f := startFake(t, "")
			f.set(0, 1)
			f.set(1, 2)
			_, s := follow(t, f.path, soon)
			s.want("connected", "all vma,vmb")
			times := f.refusing(0, call, code)
			f.lifecycle(0, defined)
			f.lifecycle(1, booted)
			s.want("up vmb 2")
			s.silent()
			f.drop()
			s.want("lost", "connected", "all vmb,and "+textOf(uuidOf(0)))
			s.silent()
			if n := times.Load(); n < 2 || n > 12 {
				t.Errorf("it was looked at %d times", n)
			}
			f.meanwhile(nil)
			s.want("up vma 1")
			s.silent()
		}
	}
}

// The looks at a domain that libvirt does not give out become ever rarer.
func TestRefusalsAreNotAskedForAllTheTime(t *testing.T) {
	l := &looker{hints: newHints(), again: time.Second}
	n, last := hint{name: "a"}, time.Duration(0)
	for range 100 {
		before := time.Now()
		l.tell(sight{uuid: uuidOf(1), unknown: true}, n)
		n = l.hints.take(1, nil, before.Add(time.Hour))[uuidOf(1)]
		pause := n.due.Sub(before).Round(time.Second)
		if pause < last || pause > maxAgain || last == 0 && pause != time.Second {
			t.Fatalf("after %v, %v", last, pause)
		}
		last = pause
	}
	if last != maxAgain || n.name != "a" {
		t.Errorf("in the end after %v, %+v", last, n)
	}
}

// holding has libvirtd keep back what is asked of some domains.
func (f *fake) holding(t *testing.T, held func(uuid rpc.UUID) bool) (release func()) {
	t.Helper()
	hung := make(chan struct{})
	f.meanwhile(func(proc uint32, uuid rpc.UUID) error {
		if proc == procByUUID && held(uuid) {
			<-hung
		}
		return nil
	})
	return func() {
		f.meanwhile(nil)
		close(hung)
	}
}

// One domain that is held up for longer than libvirtd may take for an answer blinds
// nobody: not while it is followed, and not in a new connection or list.
func TestOneDomainIsHeldUpForLong(t *testing.T) {
	f := startFake(t, "")
	for n := range 8 {
		f.set(n, 1)
	}
	follower, s := follow(t, f.path, 300*time.Millisecond)
	s.want("connected", "all vma,vmb,vmc,vmd,vme,vmf,vmg,vmh")
	release := f.holding(t, func(uuid rpc.UUID) bool { return uuid == uuidOf(0) })
	held := "held vma " + textOf(uuidOf(0))
	f.lifecycle(0, resumedSnapshot)
	s.want("fresh "+textOf(uuidOf(0)), held)
	f.lifecycle(0, booted)
	f.lifecycle(1, booted)
	s.want("up vmb 1")
	time.Sleep(400 * time.Millisecond)
	f.lifecycle(2, booted)
	s.want("up vmc 1")
	others := "all vmb,vmc,vmd,vme,vmf,vmg,vmh,and " + textOf(uuidOf(0))
	follower.hints.mu.Lock()
	follower.hints.all = true
	follower.hints.wake()
	follower.hints.mu.Unlock()
	s.want(others)
	release()
	s.want("up vma 1", "up vma 1") // it was told of again meanwhile
	s.silent()
	release = f.holding(t, func(uuid rpc.UUID) bool { return uuid == uuidOf(0) })
	f.lifecycle(0, defined)
	s.want(held)
	f.drop()
	s.want("lost libvirtd has closed", held, "connected", others)
	f.lifecycle(3, booted)
	s.want("up vmd 1")
	s.silent()
	release()
	s.want("up vma 1")
	s.silent()
}

// Where no looker is left, the connection is of no use.
func TestAsManyAreHeldUpAsAreLookedAt(t *testing.T) {
	f := startFake(t, "")
	for n := range lookers + 1 {
		f.set(n, 1)
	}
	_, s := follow(t, f.path, 200*time.Millisecond)
	s.want("connected", "all vma,vmb,vmc,vmd,vme")
	release := f.holding(t, func(uuid rpc.UUID) bool { return uuid != uuidOf(lookers) })
	for n := range lookers {
		f.lifecycle(n, booted)
	}
	for {
		select {
		case got := <-s.words:
			if strings.HasPrefix(got, "held") {
				continue
			}
			if got != "lost "+errHangs.Error() {
				t.Fatalf("told %q", got)
			}
			release()
			return
		case <-time.After(soon):
			t.Fatal("the connection is held on to")
		}
	}
}

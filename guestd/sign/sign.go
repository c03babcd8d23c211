//go:build linux

package sign

import (
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"headgate/guestd/kernel"
)

// Sign is one sign that this guest may have begun a new life.
type Sign struct {
	Reason string   // one of wire/feed's words
	Mix    [16]byte // Mix[:N] may differ between twins: to be mixed, never to be credited
	N      int
}

// Watcher watches for them. Its fields are set before Start.
type Watcher struct {
	Root string        // stands before /sys, /dev and /proc; for tests
	Poll time.Duration // between two looks at what does not tell by itself; 0: no such looks

	now    func() time.Time           // with a monotonic reading, as time.Now
	ticks  <-chan time.Time           // instead of a ticker
	links  func() (*os.File, error)   // instead of a netlink socket
	kernel func(f unix.Sockaddr) bool // whom to believe, instead of the kernel alone

	log, guid, link, clock atomic.Bool // what is being watched
	running                sync.WaitGroup
}

// Start opens what this guest has and returns at once; watching goes on until stop is
// closed. troubles says why something is not watched that is there in every guest.
// Whoever starts it takes the signs from out.
func (w *Watcher) Start(stop <-chan struct{}, out chan<- Sign) (troubles []error) {
	if w.now == nil {
		w.now, w.links, w.kernel = time.Now, openRoute, fromKernel
	}
	var files []*os.File
	if l, err := w.openLog(); err != nil {
		troubles = append(troubles, err)
	} else {
		files = append(files, l.ready.inner)
		w.watch(&w.log, func() { l.run(stop, out) })
	}
	peers, err := w.openPeers()
	if err != nil {
		troubles = append(troubles, err)
	} else {
		files = append(files, peers.socket)
		w.watch(&w.link, func() { peers.run(stop, out) })
	}
	if w.Poll > 0 {
		p := w.newPoll()
		p.look()
		w.watch(nil, func() { p.run(stop, out) })
	}
	w.watch(nil, func() { // the reads end when their files are closed
		<-stop
		for _, f := range files {
			_ = f.Close()
		}
	})
	return troubles
}

// Covers says what is being watched at this moment. It changes after Start: udev may
// load a module or find a link later.
func (w *Watcher) Covers() (covers []string) {
	every := ", every " + w.Poll.String()
	if w.log.Load() && kernel.Driver(w.Root) {
		covers = append(covers, "vmgenid driver (kernel log)")
	}
	if w.guid.Load() {
		covers = append(covers, "vmgenid GUID"+every)
	}
	if w.link.Load() && w.linkAnnounces() {
		covers = append(covers, "link announcements")
	}
	if w.clock.Load() {
		covers = append(covers, "clock"+every)
	}
	return covers
}

// watch runs f; on is true as long as it does.
func (w *Watcher) watch(on *atomic.Bool, f func()) {
	if on != nil {
		on.Store(true)
	}
	w.running.Go(func() {
		f()
		if on != nil {
			on.Store(false)
		}
	})
}

func (w *Watcher) path(name string) string { return filepath.Join("/", w.Root, name) }

// tell hands a sign over, and is false when it is time to stop. As long as it waits,
// its caller does not look for more: what comes meanwhile becomes one sign.
func tell(s Sign, stop <-chan struct{}, out chan<- Sign) bool {
	select {
	case out <- s:
		return true
	case <-stop:
		return false
	}
}

// trouble says what cannot be watched, why, and what to do about it.
type trouble struct {
	what   string
	err    error
	remedy string
}

func (t *trouble) Error() string { return t.what + ": " + t.err.Error() + ": " + t.remedy }
func (t *trouble) Unwrap() error { return t.err }

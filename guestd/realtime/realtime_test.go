//go:build linux

package realtime

import (
	"errors"
	"os"
	"runtime"
	"slices"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"headgate/integration/need"
)

// policies returns the scheduling policy of every thread of this process.
func policies(t *testing.T) (all []uint32) {
	t.Helper()
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	for _, thread := range threads {
		tid, _ := strconv.Atoi(thread.Name())
		attr, err := unix.SchedGetAttr(tid, 0)
		if errors.Is(err, unix.ESRCH) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, attr.Policy)
	}
	return all
}

func notAllowed(t *testing.T, err error) {
	t.Helper()
	need.Unmet(t, err, ": needs CAP_SYS_NICE: run as root")
}

// Threads that are there have it, and so have those that are made later.
func TestAllThreads(t *testing.T) {
	err := schedule("/proc/self/task")
	if errors.Is(err, unix.EPERM) {
		notAllowed(t, err)
	}
	if err != nil {
		t.Fatal(err)
	}
	before := len(policies(t))
	const more = 8
	up, down := make(chan bool, more), make(chan bool)
	for range more {
		go func() {
			runtime.LockOSThread() // a thread of its own
			up <- true
			<-down
		}()
	}
	for range more {
		<-up
	}
	all := policies(t)
	close(down)
	if len(all) < more || slices.ContainsFunc(all, func(p uint32) bool { return p != unix.SCHED_FIFO }) {
		t.Errorf("policies of %d threads, %d before: %v", len(all), before, all)
	}
}

// What is real-time by the unit's word is left as it is.
func TestThreadThatHasIt(t *testing.T) {
	runtime.LockOSThread() // and the thread ends with the test
	tid := unix.Gettid()
	own := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 7}
	if err := unix.SchedSetAttr(tid, &own, 0); err != nil {
		notAllowed(t, err)
	}
	if set, err := thread(tid); set || err != nil {
		t.Errorf("%v, %v", set, err)
	}
	if now, err := unix.SchedGetAttr(tid, 0); err != nil || now.Priority != 7 {
		t.Errorf("%+v, %v", now, err)
	}
}

func TestWhatCannotBe(t *testing.T) {
	if err := schedule("/nonexistent"); err == nil {
		t.Error("no error")
	}
	if set, err := thread(1 << 30); set || err != nil { // no such thread
		t.Errorf("%v, %v", set, err)
	}
}

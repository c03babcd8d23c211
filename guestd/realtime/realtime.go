//go:build linux

// Package realtime lets this process act at once when it is woken.
//
// It promises that all of its threads, those to come too, go ahead of every process
// that is not real-time itself, and that none of its pages that was there is paged out.
//
// Without it a process that draws from the kernel's generator without end keeps the
// processor for some milliseconds after the sign that this guest was cloned, and what
// it draws meanwhile is what its twin draws. The priority is the second lowest there is:
// it goes ahead of no driver's thread, and has one below it for the pipe's threads that
// hold the other processors meanwhile.
package realtime

import (
	"errors"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// priority is of SCHED_FIFO, whose least is 1 (sched(7)).
const priority = 2

// Set sets both, as far as it may. Its error says what it may not, and what to do.
func Set() error {
	var errs []error
	if err := schedule("/proc/self/task"); err != nil {
		errs = append(errs, errors.New("no real-time priority: "+err.Error()+": run as root, or in the unit LimitRTPRIO=2"))
	}
	// MCL_ONFAULT, since Linux 4.4: the pages that are used and no other. All that a Go
	// program reserves would be some forty MiB.
	if err := unix.Mlockall(unix.MCL_CURRENT | unix.MCL_FUTURE | unix.MCL_ONFAULT); err != nil {
		errs = append(errs, errors.New("memory can be paged out: "+err.Error()+": in the unit LimitMEMLOCK=infinity"))
	}
	return errors.Join(errs...)
}

// schedule gives the priority to every thread that has another policy. A thread has
// that of the one which made it: once all that are listed had it before, so will all
// to come.
func schedule(tasks string) error {
	for {
		threads, err := os.ReadDir(tasks)
		if err != nil {
			return err
		}
		set := false
		for _, t := range threads {
			tid, err := strconv.Atoi(t.Name())
			if err != nil {
				return err
			}
			did, err := thread(tid)
			if err != nil {
				return err
			}
			set = set || did
		}
		if !set {
			return nil
		}
	}
}

// thread says whether it had to set that thread's policy.
func thread(tid int) (set bool, err error) {
	now, err := unix.SchedGetAttr(tid, 0)
	if errors.Is(err, unix.ESRCH) {
		return false, nil // it has ended
	}
	if err != nil || now.Policy == unix.SCHED_FIFO || now.Policy == unix.SCHED_RR {
		return false, err
	}
	err = unix.SchedSetAttr(tid, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: priority}, 0)
	if errors.Is(err, unix.ESRCH) {
		return true, nil
	}
	return true, err
}

package daemon

import (
	"fmt"

	"golang.org/x/sys/unix"

	"headgate/hostd/config"
	"headgate/hostd/kernel"
)

// spareDescriptors is what hostd needs beside its guests': sources, the control
// socket and its clients, the log.
const spareDescriptors = 256

// garbage is how far the heap may grow before it is collected, in percent of what
// is live. Bytes of the reservoir allocate nothing on their way to guests, so that this
// costs them no time, and connected guests' memory is what it is. Each generate of a
// DRBG leaves 1 KiB of round keys, zeroed: at full speed collecting that costs a third
// of it, and leaves far more than the pipes carry (quality's BenchmarkOneGuest).
const garbage = 20

// seal keeps the process's memory, through which every byte passes on its way
// to a guest, out of core dumps and swap. What could not be done it returns as
// warnings.
func seal() (warnings []string) {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		warnings = append(warnings, fmt.Sprintf("core dumps are not off (%v): a crash may write random bytes to disk; set LimitCORE=0", err))
	}
	if err := lockMemory(); err != nil {
		warnings = append(warnings, fmt.Sprintf("memory is not locked (%v): bytes on their way may be swapped; set LimitMEMLOCK=infinity, or turn swap off or encrypt it", err))
	}
	return warnings
}

// lockMemory locks what is, and what will be, faulted in. It does so only where
// no limit can be hit: with MCL_FUTURE and a finite limit the runtime's own
// reservations would fail, and the process with them.
func lockMemory() error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_MEMLOCK, &limit); err != nil {
		return err
	}
	if limit.Cur != unix.RLIM_INFINITY && !mayLock() {
		return fmt.Errorf("the limit on locked memory is %d bytes", limit.Cur)
	}
	return unix.Mlockall(unix.MCL_CURRENT | unix.MCL_FUTURE | unix.MCL_ONFAULT)
}

// mayLock says whether the limit does not hold for this process
// (capabilities(7), CAP_IPC_LOCK).
func mayLock() bool {
	held, err := kernel.Held()
	return err == nil && held.Effective(unix.CAP_IPC_LOCK)
}

// descriptors is how many files a pipe has open at most: a socket and a client, or the
// event channel and the grants of a ring; of a vhost-user pipe the two eventfds of the
// guest's queue, too.
func descriptors(p config.Pipe) int {
	if p.Kind == config.VhostUser {
		return 4
	}
	return 2
}

// raiseDescriptors raises the limit on open files to what these pipes need. It returns
// how many may be open beyond that, and a warning if there are too few.
func raiseDescriptors(pipes []config.Pipe) (spare int, warning string) {
	need := uint64(spareDescriptors)
	for _, p := range pipes {
		need += uint64(descriptors(p))
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Sprintf("the limit on open files is unknown: %v", err)
	}
	for _, wanted := range []unix.Rlimit{
		{Cur: max(need, limit.Max), Max: max(need, limit.Max)},
		{Cur: limit.Max, Max: limit.Max},
	} {
		if unix.Setrlimit(unix.RLIMIT_NOFILE, &wanted) == nil {
			limit = wanted
			break
		}
	}
	if limit.Cur >= need {
		return int(min(limit.Cur-need, 1<<30)), ""
	}
	return 0, fmt.Sprintf("at most %d files can be open, and %d pipes need %d: set LimitNOFILE=%d or ulimit -n", limit.Cur, len(pipes), need, need)
}

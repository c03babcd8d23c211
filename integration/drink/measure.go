//go:build linux

package main

import (
	"context"
	"fmt"
	"os/exec"
	"runtime"
	"strings"
	"time"
	"unsafe"

	"headgate/hostd/kernel"
	"headgate/hostd/meter"

	"golang.org/x/sys/unix"
)

const (
	block   = 4096 // bytes a read of dd's
	small   = 16   // bytes a getrandom
	tries   = 1000 // reads or calls by which it is found how many fill a turn
	shorter = 5    // of a turn of dd's, the part that the calls of getrandom get
	enough  = 1000 // reads or calls at least: the start of dd(1) is in its time, too
)

// figures are the times of all pairs on one kernel.
type figures struct {
	How     string `json:"how"`
	Kernel  string `json:"kernel"`
	Command string `json:"command"`
	Reads   int    `json:"reads"` // of dd in one turn
	Calls   int    `json:"calls"` // of getrandom in one turn
	DD      []pair `json:"dd"`
	Call    []pair `json:"call"`
}

// pair are two turns right after each other.
type pair struct {
	Without turn `json:"without"`
	With    turn `json:"with"`
}

// turn is how long something took, and of the processor.
type turn struct {
	Took time.Duration `json:"took"`
	CPU  time.Duration `json:"cpu"`
}

// measure measures on the kernel that it runs on.
func measure(ctx context.Context, how string, pairs int, each time.Duration) (f figures, err error) {
	// The calls are made by this one thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	f = figures{How: how, Kernel: kernel.Release()}
	dd, reads, err := calibrate(ctx, each)
	if err != nil {
		return f, err
	}
	f.Reads, f.Command = reads, strings.Join(dd(reads), " ")
	one, err := getrandom(tries)
	if err != nil {
		return f, err
	}
	f.Calls = fill(one, each/shorter)
	for n := range pairs {
		var p, q pair
		order := []bool{false, true}
		if n%2 == 1 {
			order = []bool{true, false}
		}
		for _, with := range order {
			t, u, err := f.sample(ctx, dd(tries), dd(reads), with)
			if err != nil {
				return f, err
			}
			if with {
				p.With, q.With = t, u
			} else {
				p.Without, q.Without = t, u
			}
		}
		f.DD, f.Call = append(f.DD, p), append(f.Call, q)
	}
	return f, nil
}

// rest is what the kernel is given to be done with an attachment, or with its end, before a
// time is taken: what it puts off until no processor can be in the old code.
const rest = 300 * time.Millisecond

// sample is a turn of both, with the meter or without it: it is attached before a time is
// taken, and detached after.
func (f *figures) sample(ctx context.Context, brief, dd []string, with bool) (reads, calls turn, err error) {
	var m *meter.Meter
	if with {
		if m, err = meter.Attach(options(f.How)); err != nil {
			return reads, calls, err
		}
		defer m.Close()
	}
	wait(ctx, rest)
	// Not timed: an emulator translates anew what was attached to, which takes as long as
	// some hundred reads.
	if _, err = command(ctx, brief); err != nil {
		return reads, calls, err
	}
	if _, err = getrandom(tries); err != nil {
		return reads, calls, err
	}
	if reads, err = command(ctx, dd); err != nil {
		return reads, calls, err
	}
	if calls, err = getrandom(f.Calls); err == nil && with {
		err = f.counted(m)
	}
	return reads, calls, err
}

// counted is an error unless the meter was called as it was to be and has counted what was
// done meanwhile, which others may have done more of.
func (f *figures) counted(m *meter.Meter) error {
	r, err := m.Read()
	if err != nil {
		return err
	}
	least := map[meter.Way]int{meter.Urandom: f.Reads * block, meter.Getrandom: f.Calls * small}
	for _, w := range r.Ways {
		if n, used := least[w.Way]; used && (w.How != f.How || w.Bytes < uint64(n)) {
			return fmt.Errorf("%s was to be seen by %s, %d bytes at least: %+v", w.Way, f.How, n, w)
		}
	}
	return nil
}

// calibrate finds a dd(1), and how many of its reads fill a turn.
func calibrate(ctx context.Context, each time.Duration) (dd func(reads int) []string, reads int, err error) {
	program := []string{"dd"}
	if _, err := exec.LookPath("dd"); err != nil {
		program = []string{"busybox", "dd"}
	}
	dd = func(reads int) []string {
		return append(program[:len(program):len(program)], "if=/dev/urandom", fmt.Sprintf("bs=%dk", block>>10), fmt.Sprintf("count=%d", reads), "of=/dev/null")
	}
	t, err := command(ctx, dd(tries))
	return dd, fill(t, each), err
}

// fill is how many fill that time if so many tries took t, in whole thousands.
func fill(t turn, each time.Duration) int {
	return max(enough, int(tries*each/t.Took)/1000*1000)
}

// command is a turn of a program.
func command(ctx context.Context, args []string) (turn, error) {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	begun := time.Now()
	text, err := cmd.CombinedOutput()
	took := time.Since(begun)
	if err != nil {
		return turn{}, fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, text)
	}
	return turn{Took: took, CPU: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}, nil
}

// getrandom is a turn of so many system calls: not unix.Getrandom, which the vDSO answers
// where there is one.
func getrandom(calls int) (turn, error) {
	buffer := make([]byte, small)
	used := func() (t unix.Timespec, err error) {
		err = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t)
		return t, err
	}
	before, err := used()
	if err != nil {
		return turn{}, err
	}
	begun := time.Now()
	for range calls {
		if n, _, errno := unix.Syscall(unix.SYS_GETRANDOM, uintptr(unsafe.Pointer(unsafe.SliceData(buffer))), small, 0); n != small {
			return turn{}, fmt.Errorf("getrandom of %d bytes: %d, %w", small, n, errno)
		}
	}
	took := time.Since(begun)
	after, err := used()
	return turn{Took: took, CPU: time.Duration(after.Nano() - before.Nano())}, err
}

//go:build linux

package early

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// maxThreads bounds how many threads are looked at.
const maxThreads = 4096

// found is a thread that waits for the generator.
type found struct {
	pid, tid int
	process  string
	way      Way
	asked    uint64
	flags    uint32
}

// waitingNow is who waits inside of the kernel for its generator: who came before
// the trace began, and is not seen to come.
func waitingNow(proc string) (all []found) {
	left := maxThreads
	for _, pid := range numbers(proc) {
		if pid == os.Getpid() {
			continue
		}
		tasks := filepath.Join(proc, strconv.Itoa(pid), "task")
		for _, tid := range numbers(tasks) {
			if left--; left < 0 {
				return all
			}
			if f, ok := waits(filepath.Join(tasks, strconv.Itoa(tid))); ok {
				f.pid, f.tid = pid, tid
				all = append(all, f)
			}
		}
	}
	return all
}

// waits looks at one thread. Its stack tells (proc_pid_stack(5), for root), also of one
// that is busy with the kernel's jitter; what it asks for is in its registers, but for
// that one (proc_pid_syscall(5)).
func waits(task string) (f found, is bool) {
	stack := head(filepath.Join(task, "stack"))
	number, args := parseSyscall(head(filepath.Join(task, "syscall")))
	for _, function := range []string{"wait_for_random_bytes", "try_to_generate_entropy"} {
		is = is || strings.Contains(stack, function)
	}
	asleep := number == unix.SYS_GETRANDOM // a call that does not wait is never found asleep
	if !is && !asleep {
		return f, false
	}
	f.asked = unknown
	switch {
	case asleep || strings.Contains(stack, "getrandom"):
		f.way = Getrandom
	case strings.Contains(stack, "urandom_read"):
		f.way = Urandom
	case strings.Contains(stack, "random_read"):
		f.way = Random
	default:
		return f, false // the kernel itself
	}
	switch {
	case asleep:
		f.asked, f.flags = args[1], uint32(args[2])
	case number == unix.SYS_READ && f.way != Getrandom:
		f.asked = args[2]
	}
	f.process = strings.TrimSuffix(head(filepath.Join(task, "comm")), "\n")
	return f, true
}

// parseSyscall reads "NUMBER 0xARG ... 0xSP 0xPC"; number is -1 for a thread that runs,
// or is in no system call.
func parseSyscall(text string) (number int, args [6]uint64) {
	fields := strings.Fields(text)
	if len(fields) < 7 {
		return -1, args
	}
	number, err := strconv.Atoi(fields[0])
	if err != nil {
		return -1, args
	}
	for i := range args {
		if args[i], err = strconv.ParseUint(fields[i+1], 0, 64); err != nil {
			return -1, [6]uint64{}
		}
	}
	return number, args
}

// asker is its row of a report.
func (f found) asker(from Seconds) Asker {
	a := Asker{Process: f.process, PID: f.pid, Way: f.way, Flags: flagNames(f.flags), Calls: 1, At: from, AtLeast: true}
	if f.asked == unknown {
		a.Uncounted = true
	} else {
		a.Asked = f.asked
	}
	return a
}

// numbers is the folders of a folder that are named by numbers.
func numbers(dir string) (all []int) {
	d, err := os.Open(dir)
	if err != nil {
		return nil // it has ended
	}
	defer d.Close()
	names, _ := d.Readdirnames(2 * maxThreads)
	for _, name := range names {
		if n, err := strconv.Atoi(name); err == nil {
			all = append(all, n)
		}
	}
	slices.Sort(all)
	return all
}

// head is how a file starts, empty where it cannot be read.
func head(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, 4096))
	if err != nil {
		return ""
	}
	return string(text)
}

// mounted says what is missing so early.
func mounted() error {
	for _, of := range []struct{ folder, file string }{{"/proc", "/proc/self/stat"}, {"/sys", "/sys/kernel"}} {
		if _, err := os.Stat(of.file); err != nil {
			return fmt.Errorf("%w: mount %s first: there is nothing to see with", err, of.folder)
		}
	}
	return nil
}

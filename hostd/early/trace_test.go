//go:build linux

package early

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"headgate/hostd/probe"
	"headgate/integration/need"
)

// What integration/debian wants in a guest, and this test's program is a second time.
var (
	must  = flag.Bool("must", false, "fail where this kernel lets nobody see")
	every = flag.Bool("every", false, "do nothing but ask in every way")
	wait  = flag.Int("wait", 0, "do nothing but wait for so many bytes of /dev/random")
)

func TestMain(m *testing.M) {
	flag.Parse()
	switch {
	case *every:
		ask()
	case *wait > 0:
		read("/dev/random", *wait)
	default:
		goleak.VerifyTestMain(m)
	}
}

// read reads a device, and waits in the kernel for it: os.File would not.
func read(path string, n int) {
	fd, err := unix.Open(path, unix.O_RDONLY, 0)
	if err != nil {
		panic(err)
	}
	if got, err := unix.Read(fd, make([]byte, n)); got != n || err != nil {
		panic(fmt.Sprint(got, err))
	}
	_ = unix.Close(fd)
}

// ask asks for randomness in each way, and in none of the library's.
func ask() {
	// Threads have names of their own.
	runtime.LockOSThread()
	if err := os.WriteFile("/proc/thread-self/comm", []byte("asker"), 0); err != nil {
		panic(err)
	}
	b := make([]byte, 4096)
	for _, call := range []struct{ n, flags uintptr }{{13, 0}, {17, unix.GRND_NONBLOCK}, {19, unix.GRND_NONBLOCK}, {300, unix.GRND_INSECURE}} {
		// The system call itself: the vDSO's is not seen by the kernel.
		if n, _, errno := unix.Syscall(unix.SYS_GETRANDOM, uintptr(ptr(b)), call.n, call.flags); n != call.n || errno != 0 {
			panic(errno)
		}
	}
	// What is given is less than what is asked for where memory ends.
	page := os.Getpagesize()
	two, err := unix.Mmap(-1, 0, 2*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		panic(err)
	}
	if err := unix.Mprotect(two[page:], unix.PROT_NONE); err != nil {
		panic(err)
	}
	fd, err := unix.Open("/dev/urandom", unix.O_RDONLY, 0)
	if err != nil {
		panic(err)
	}
	if got, err := unix.Read(fd, two); got != page || err != nil {
		panic(fmt.Sprint(got, err))
	}
	_ = unix.Close(fd)
	read("/dev/random", 21)
	read("/dev/urandom", 1000)
}

// canTrace skips the test where the kernel lets nobody see, and says what it says then.
func canTrace(t *testing.T) {
	t.Helper()
	need.Root(t, "BPF programs are attached")
	tracer, err := attach(kprobesFirst)
	if err == nil {
		tracer.close()
		return
	}
	if *must {
		t.Fatal(err)
	}
	if text := err.Error(); !strings.Contains(text, "kprobe") || !strings.Contains(text, "fentry") {
		t.Errorf("no words for the user: %v", err)
	}
	t.Skipf("this machine's kernel lets nobody see it, integration/debian does in a guest: %v", err)
}

// Every way, the exact bytes and flags, of a process that is known.
func TestTrace(t *testing.T) {
	canTrace(t)
	for by, o := range map[string]probe.Options{probe.Kprobe: {Kprobe: true}, probe.Fentry: {}} {
		t.Run(by, func(t *testing.T) { traces(t, by, o) })
	}
}

func traces(t *testing.T, by string, o probe.Options) {
	began, err := boottime()
	if err != nil {
		t.Fatal(err)
	}
	ctx, done := context.WithTimeout(t.Context(), time.Minute)
	defer done()
	var child int
	learned := func() {
		cmd := exec.Command(os.Args[0], "-every")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		child = cmd.Process.Pid
		done()
	}
	r, err := Trace(ctx, Options{For: time.Minute, learned: learned, all: true, by: []probe.Options{o}})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("by %s, %d rows, notes %q", r.How, len(r.Askers), r.Notes)
	type row struct {
		way          Way
		flags        string
		calls        int
		asked, given uint64
	}
	page := uint64(os.Getpagesize())
	want := map[row]bool{
		{Getrandom, "", 1, 13, 13}: true, {Getrandom, "nonblock", 2, 36, 36}: true, {Getrandom, "insecure", 1, 300, 300}: true,
		{Random, "", 1, 21, 21}: true, {Urandom, "", 2, 1000 + 2*page, 1000 + page}: true,
	}
	for _, a := range r.Askers {
		if a.PID == os.Getpid() {
			t.Errorf("the trace itself asks: %+v", a)
		}
		if a.PID != child || a.Process != "asker" {
			continue
		}
		is := row{a.Way, a.Flags, a.Calls, a.Asked, a.Given}
		if !want[is] {
			t.Errorf("not asked: %+v", a)
		}
		delete(want, is)
		if a.Uncounted || a.Unended || a.AtLeast || a.Refused != 0 || a.At < r.From || a.At > r.Until || a.Waited <= 0 || a.Waited > r.Until-a.At {
			t.Errorf("%+v between %s and %s", a, r.From, r.Until)
		}
	}
	for missed := range want {
		t.Errorf("not seen: %+v", missed)
	}
	if r.How != by || r.Lost != 0 || len(r.Notes) != 0 || r.From < began-Seconds(time.Second) {
		t.Errorf("by %s, lost %d, notes %q, from %s", r.How, r.Lost, r.Notes, r.From)
	}
}

// A generator that has long been ready takes no looking.
func TestReadyBefore(t *testing.T) {
	called := 0
	r, err := Trace(t.Context(), Options{For: time.Minute, Attached: func() { called++ }})
	if err != nil {
		need.Unmet(t, err)
	}
	if !r.Ready || !r.ReadyBefore || r.ReadyAt >= r.From || len(r.Askers) != 0 || called != 1 || r.How != "" {
		t.Errorf("%+v, called %d times", r, called)
	}
	if !strings.Contains(r.Verdict, "before this trace began") {
		t.Error(r.Verdict)
	}
}

// What is in the kernel's table and among the records is one call, and who was found
// waiting is told from who was seen to come.
func TestEnds(t *testing.T) {
	tr := trace{behind: second, seen: between()}
	raw := func(pid uint32, start, end float64) record {
		r := call(pid, Random, 0, 32, 32, start, end)
		r.start, r.end = r.start+tr.behind, r.end+tr.behind
		return r
	}
	tr.keep(raw(7, 3, 4.2))
	tr.keep(raw(8, 4.5, 4.6)) // after it was ready
	tr.unended([]record{raw(7, 3, 0), raw(7, 3.5, 0)})
	if len(tr.records) != 1 || tr.records[0].start != 3*second || len(tr.open) != 1 || tr.open[0].end != tr.Until {
		t.Fatalf("%+v, open %+v", tr.records, tr.open)
	}
	tr.found([]found{{pid: 7, tid: 7, way: Random}, {pid: 9, tid: 9, process: "w", way: Getrandom, asked: 24}}, 3*second)
	if want := (Asker{Process: "w", PID: 9, Way: Getrandom, Calls: 1, Asked: 24, At: 2 * second, Waited: 2 * second, AtLeast: true}); len(tr.waiting) != 1 || tr.waiting[0] != want {
		t.Errorf("%+v", tr.waiting)
	}
	tr.waiting = nil
	if tr.found([]found{{pid: 7, tid: 7, way: Random, asked: unknown}}, second); len(tr.waiting) != 1 || !tr.waiting[0].Uncounted {
		t.Errorf("it came after it was found: %+v", tr.waiting)
	}
	for tr.Lost == 0 {
		tr.keep(raw(7, 3, 4.2))
	}
	if len(tr.records) != maxRecords {
		t.Errorf("%d records", len(tr.records))
	}
}

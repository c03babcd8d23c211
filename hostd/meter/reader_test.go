package meter

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

// The test program is its own reader too: told so by its environment, it drinks what
// it was asked to, says how much that was, and waits for its input to end.
const asReader = "METER_READER"

func TestMain(m *testing.M) {
	if task := os.Getenv(asReader); task != "" {
		if err := drink(task); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if len(os.Args) > 1 && os.Args[1] == Command {
		if err := Serve(Options{}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// task is what a reader does.
type task struct {
	Name    string
	Way     Way
	Bytes   int // together
	Chunk   int // of a call
	Threads int
	Do      string // another thing than that
}

// drunk is what it did.
type drunk struct{ Bytes, Calls uint64 }

func drink(text string) error {
	var t task
	if err := json.Unmarshal([]byte(text), &t); err != nil {
		return err
	}
	if err := rename(t.Name); err != nil {
		return err
	}
	var all drunk
	var err error
	switch t.Do {
	case "names":
		all, err = names4200()
	case "faults":
		all, err = faults()
	case "nothing":
	case "splice":
		all, err = splice(t.Bytes)
	default:
		all, err = t.threads()
	}
	if err != nil {
		return err
	}
	if err := json.NewEncoder(os.Stdout).Encode(all); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// rename gives the process, which is its first thread, another name.
func rename(name string) error { return os.WriteFile("/proc/self/comm", []byte(name), 0) }

// threads drink each a part, under a name of their own that the meter must not show.
func (t task) threads() (drunk, error) {
	var (
		mu   sync.Mutex
		wg   sync.WaitGroup
		all  drunk
		fail error
	)
	for i := range t.Threads {
		share := t.Bytes / t.Threads
		if i == 0 {
			share += t.Bytes % t.Threads
		}
		wg.Go(func() {
			runtime.LockOSThread() // and ends with it
			if unix.Gettid() != unix.Getpid() {
				_ = os.WriteFile("/proc/thread-self/comm", []byte("a thread"), 0)
			}
			d, err := t.share(share)
			mu.Lock()
			defer mu.Unlock()
			all.Bytes += d.Bytes
			all.Calls += d.Calls
			if err != nil {
				fail = err
			}
		})
	}
	wg.Wait()
	return all, fail
}

func (t task) share(n int) (d drunk, err error) {
	call := func(p []byte) (int, error) { return getrandom(&p[0], len(p), 0) }
	if t.Way != Getrandom {
		fd, err := unix.Open("/dev/"+string(t.Way), unix.O_RDONLY, 0)
		if err != nil {
			return d, fmt.Errorf("open /dev/%s: %w", t.Way, err)
		}
		defer unix.Close(fd)
		call = func(p []byte) (int, error) { return unix.Read(fd, p) }
	}
	p := make([]byte, t.Chunk)
	for n > 0 {
		got, err := call(p[:min(n, len(p))])
		if errors.Is(err, unix.EINTR) {
			continue
		}
		d.Calls++
		if err != nil || got == 0 {
			return d, fmt.Errorf("%s gave %d: %w", t.Way, got, err)
		}
		d.Bytes += uint64(got)
		n -= got
	}
	return d, nil
}

// reader is one that runs.
type reader struct {
	drunk
	pid int
	end func() // and is waited for
}

func start(t testing.TB, do task) reader {
	t.Helper()
	if do.Threads == 0 {
		do.Threads = 1
	}
	if do.Chunk == 0 {
		do.Chunk = 4096
	}
	text, err := json.Marshal(do)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(self)
	c.Env = append(os.Environ(), asReader+"="+string(text))
	c.Stderr = os.Stderr
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	r := reader{pid: c.Process.Pid, end: sync.OnceFunc(func() {
		_ = in.Close()
		if err := c.Wait(); err != nil {
			t.Errorf("reader %s: %v", do.Name, err)
		}
	})}
	t.Cleanup(r.end)
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &r.drunk)
	}
	if err != nil {
		t.Fatalf("reader %s said %q: %v", do.Name, line, err)
	}
	return r
}

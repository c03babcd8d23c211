package backends

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"headgate/integration/need"
)

// alive tells whether a process is there, and no zombie.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	state := stat[bytes.LastIndexByte(stat, ')')+2]
	return state != 'Z' && state != 'X'
}

// firstPid reads the process id that a command says first.
func firstPid(t *testing.T, r io.Reader) int {
	t.Helper()
	var line []byte
	for p := make([]byte, 1); ; {
		_, err := r.Read(p)
		check(t, err)
		if p[0] == '\n' {
			return must(strconv.Atoi(string(line)))
		}
		line = append(line, p[0])
	}
}

// TestExecSilent closes its output and goes on.
func TestExecSilent(t *testing.T) {
	stream, _, err := shell(t, "echo $$; exec >&-; sleep 100").Open()
	check(t, err)
	pid := firstPid(t, stream)
	if _, err := stream.Read(make([]byte, 1)); !errors.Is(err, errSilent) {
		t.Errorf("%v", err)
	}
	check(t, stream.Close())
	if alive(pid) {
		t.Error("it is left running")
	}
}

// TestExecClose ends commands that do not want to, and does not wait for those that do.
func TestExecClose(t *testing.T) {
	for name, c := range map[string]struct {
		line  string
		never bool // SIGTERM alone does not end it
	}{
		"willing":                     {"echo $$; exec sleep 100", false},
		"writes all the time":         {"echo $$; exec cat /dev/zero", false},
		"ignores SIGTERM":             {`trap "" TERM; echo $$; while :; do sleep 100; done`, true},
		"is stopped":                  {"echo $$; kill -STOP $$; sleep 100", true},
		"child ignores SIGTERM":       {`(trap "" TERM; exec sleep 100) & echo $!; wait`, false},
		"child holds the pipes":       {"sleep 100 & echo $!; wait", false},
		"waits for its child":         {`trap : TERM; sh -c 'echo $$; exec sleep 100'; exit 0`, false},
		"floods its standard error":   {"echo $$; exec cat /dev/zero >&2", false},
		"grandchildren in a pipeline": {"{ sleep 100; } | { sleep 100; } & echo $!; wait", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := shell(t, c.line).(*execSource)
			s.patience = time.Minute
			if c.never {
				s.patience = 20 * time.Millisecond
			}
			for range 2 {
				stream, _, err := s.Open()
				check(t, err)
				pid := firstPid(t, stream)
				if !alive(pid) {
					t.Fatal("it is not there")
				}
				reading := make(chan error)
				go func() {
					for p := make([]byte, 4096); ; {
						if _, err := stream.Read(p); err != nil {
							reading <- err
							return
						}
					}
				}()
				time.Sleep(time.Millisecond)
				began := time.Now()
				check(t, stream.Close())
				if d := time.Since(began); d > 30*time.Second {
					t.Errorf("Close took %v", d)
				}
				if err := <-reading; !errors.Is(err, os.ErrClosed) {
					t.Errorf("Read: %v", err)
				}
				eventually(t, "it is left running", func() bool { return !alive(pid) })
				eventually(t, "it is not over", stream.(*execStream).over)
				own := stream.(*execStream).command.Process.Pid
				if _, err := os.Stat(fmt.Sprintf("/proc/%d", own)); err == nil {
					t.Error("it is left as a zombie")
				}
			}
		})
	}
}

// TestExecLeavesNoThread: the threads that commands are started from cannot be used
// for anything else.
func TestExecLeavesNoThread(t *testing.T) {
	threads := func() int { return len(must(os.ReadDir("/proc/self/task"))) }
	withoutPrivileges := []byte("NoNewPrivs:\t1")
	if bytes.Contains(must(os.ReadFile(fmt.Sprintf("/proc/%d/status", os.Getppid()))), withoutPrivileges) {
		need.Unmet(t, "the test itself was started with no_new_privs: run it without")
	}
	before := 0
	for i := range 40 {
		stream, _, err := command(t, "sleep", "100").Open()
		check(t, err)
		check(t, stream.Close())
		if i == 9 {
			before = threads()
		}
	}
	eventually(t, "threads are left", func() bool { return threads() <= before+5 })
	eventually(t, "a thread is left without privileges", func() bool {
		for _, task := range must(os.ReadDir("/proc/self/task")) {
			if task.Name() == strconv.Itoa(os.Getpid()) {
				continue // the first thread of a process cannot be ended: it is used no more
			}
			status, err := os.ReadFile(filepath.Join("/proc/self/task", task.Name(), "status"))
			if err == nil && bytes.Contains(status, withoutPrivileges) {
				return false
			}
		}
		return true
	})
}

// TestExecDiesWithHostd kills the process that has started a command.
func TestExecDiesWithHostd(t *testing.T) {
	child, out := another(t, 0, ":")
	if got := lineOf(t, out); !strings.HasPrefix(got, "as user ") {
		t.Fatal(got)
	}
	pid := firstPid(t, out)
	if !alive(pid) {
		t.Fatal("the command is not there")
	}
	check(t, child.Kill())
	eventually(t, "it is left running", func() bool { return !alive(pid) })
}

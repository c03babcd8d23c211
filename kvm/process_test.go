package kvm

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// pinOld pins as on a kernel before Linux 6.5.
func pinOld(conn *net.UnixConn, id int32) (int, error) {
	return askThenPin(func(*net.UnixConn) (int, error) { return -1, unix.ENOPROTOOPT }, conn, id)
}

// Where the socket says that there is no process any more, the id is not asked.
func TestAReapedPeerIsNotLookedForByItsID(t *testing.T) {
	for said, want := range map[syscall.Errno]error{
		unix.EINVAL: errEnded, unix.ESRCH: errEnded, unix.EMFILE: unix.EMFILE, unix.ENODATA: unix.ENODATA,
	} {
		pidfd, err := askThenPin(func(*net.UnixConn) (int, error) { return -1, said }, nil, int32(os.Getpid()))
		if pidfd != -1 || !errors.Is(err, want) {
			t.Errorf("%v: %d, %v", said, pidfd, err)
		}
	}
}

// Between the two looks at its start the id has become another's, or cannot be
// looked at.
func TestAnIDThatChangesHandsIsNotPinned(t *testing.T) {
	own := int32(os.Getpid())
	dead := exec.Command("/bin/true")
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	gone := fmt.Errorf("open: %w", fs.ErrNotExist)
	for name, c := range map[string]struct {
		id            int32
		before, after uint64
		beforeErr     error
		afterErr      error
		want          error
	}{
		"it stays":        {id: own, before: 7, after: 7},
		"another's":       {id: own, before: 7, after: 8, want: errEnded},
		"dead":            {id: int32(dead.Process.Pid), beforeErr: gone, afterErr: gone, want: errEnded},
		"dead but seen":   {id: int32(dead.Process.Pid), before: 7, after: 7, want: errEnded},
		"hidden":          {id: own, beforeErr: gone, afterErr: gone, want: errHidden},
		"forbidden":       {id: own, beforeErr: unix.EPERM, afterErr: unix.EPERM, want: errHidden},
		"hidden at first": {id: own, beforeErr: gone, after: 7, want: errHidden},
		"no sense":        {id: own, before: 7, afterErr: errStat, want: errStat},
	} {
		t.Run(name, func(t *testing.T) {
			before, looks := descriptors(t), 0
			pidfd, err := pinID(c.id, func(int32) (uint64, error) {
				if looks++; looks == 1 {
					return c.before, c.beforeErr
				}
				return c.after, c.afterErr
			})
			if !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
			if err == nil {
				unix.Close(pidfd)
			}
			if after := descriptors(t); after != before {
				t.Errorf("%d descriptors before, %d after", before, after)
			}
		})
	}
}

func TestStartedIsTheSameWheneverItIsAsked(t *testing.T) {
	once, err := started(int32(os.Getpid()))
	if err != nil {
		t.Fatal(err)
	}
	again, err := started(int32(os.Getpid()))
	first, firstErr := started(1)
	if err != nil || firstErr != nil || again != once || first >= once {
		t.Fatalf("this process began at %d and %d, the first at %d: %v, %v", once, again, first, err, firstErr)
	}
}

func FuzzStartTime(f *testing.F) {
	own, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(own, "kvm", uint64(1))
	f.Add([]byte("1 (x) S"), "a) S 1 2 3 (b", uint64(1<<64-1))
	f.Add([]byte(strings.Repeat("1 ", 60)), ")\n) ", uint64(0))
	f.Fuzz(func(t *testing.T, raw []byte, name string, ticks uint64) {
		// Whatever a process calls itself, its start is found.
		line := fmt.Sprintf("31011 (%s) S %s%d 99 98\n", name, strings.Repeat("-1 ", 18), ticks)
		if got, err := startTime([]byte(line)); err != nil || got != ticks {
			t.Fatalf("%q: %d, %v", line, got, err)
		}
		// Of any bytes, nothing else is taken for it.
		got, err := startTime(raw)
		fields := bytes.Split(raw[bytes.LastIndexByte(raw, ')')+1:], []byte(" "))
		// The first is empty: a space follows the parenthesis. The second is field 3.
		var want uint64
		wantErr := errStat
		if len(fields) > 21 {
			if n, err := strconv.ParseUint(string(fields[20]), 10, 64); err == nil {
				want, wantErr = n, nil
			}
		}
		if got != want || !errors.Is(err, wantErr) {
			t.Fatalf("%q: %d, %v, want %d, %v", raw, got, err, want, wantErr)
		}
	})
}

//go:build linux

package guard

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"headgate/hostd/control"
	"headgate/hostd/events"
	"headgate/integration/rig"
)

// try is what a hostd that was taken over is to do: testdata/try.go.txt has the same.
type try struct {
	Do       string // "socket", "dial", "listen", "ring"
	Domain   int
	Type     int
	Protocol int
	Network  string
	Address  string
	Times    int
	Threads  int
}

func (t try) String() string {
	if t.Network != "" {
		return fmt.Sprintf("%s %s %s", t.Do, t.Network, t.Address)
	}
	return fmt.Sprintf("%s %d, %d, %d", t.Do, t.Domain, t.Type, t.Protocol)
}

// takenOver is a hostd that tries what it is told to.
type takenOver struct {
	*rig.Daemon
	tries string // its socket
}

func takeOver(t *testing.T, text string) takenOver {
	t.Helper()
	p := needed(t)
	dir := rig.Dir(t)
	d, err := rig.NewDaemon(dir, p.taken, text)
	if err != nil {
		t.Fatal(err)
	}
	h := takenOver{d, filepath.Join(dir, "tries")}
	d.Change = func(cmd *exec.Cmd) { cmd.Env = append(cmd.Env, "HEADGATE_TRY="+h.tries) }
	start(t, d)
	return h
}

// start starts a hostd that ends with the test. A failed test quotes its log.
func start(t *testing.T, d *rig.Daemon) {
	t.Helper()
	t.Cleanup(func() {
		d.Close()
		if t.Failed() {
			t.Logf("the end of hostd's log:\n%s", rig.Tail(d.Log, 40))
		}
	})
	if err := d.Start(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
}

// does has it try, once on one thread where it is not said how often, and returns how
// often each error number came.
func (h takenOver) does(ctx context.Context, t *testing.T, what try) map[syscall.Errno]int {
	t.Helper()
	what.Times, what.Threads = max(what.Times, 1), max(what.Threads, 1)
	conn, err := new(net.Dialer).DialContext(ctx, "unix", h.tries)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	came := map[syscall.Errno]int{}
	if err := json.NewEncoder(conn).Encode(what); err != nil {
		t.Fatal(err)
	}
	if err := json.NewDecoder(conn).Decode(&came); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	return came
}

// refuses has it try, and fails the test unless each try ended with this.
func (h takenOver) refuses(ctx context.Context, t *testing.T, what try, with syscall.Errno) {
	t.Helper()
	came := h.does(ctx, t, what)
	if came[with] != max(what.Times, 1)*max(what.Threads, 1) || len(came) != 1 {
		t.Errorf("%s: %s, want nothing but %q", what, said(came), with)
	}
}

func said(came map[syscall.Errno]int) string {
	var all []string
	for _, n := range slices.Sorted(maps.Keys(came)) {
		what := "done"
		if n != 0 {
			what = n.Error()
		}
		all = append(all, fmt.Sprintf("%s (%d times)", what, came[n]))
	}
	return strings.Join(all, ", ")
}

func status(ctx context.Context, t *testing.T, d *rig.Daemon) control.Status {
	t.Helper()
	s, err := d.Status(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// counted are the refusals of a status by family, process and pid.
func counted(s control.Status) map[string]uint64 {
	rows := map[string]uint64{}
	for _, r := range s.Guard.Refused.By {
		rows[fmt.Sprintf("%s %s %d", r.Family, r.Process, r.PID)] += r.Count
	}
	return rows
}

// awaitEvents waits until hostd's events of one kind are as wanted.
func awaitEvents(ctx context.Context, t *testing.T, d *rig.Daemon, kind string, wanted func([]events.Event) bool) {
	t.Helper()
	for all := d.EventsOf(ctx, t, kind); !wanted(all); all = d.EventsOf(ctx, t, kind) {
		if rig.Sleep(ctx, 20*time.Millisecond) != nil {
			t.Fatalf("hostd's events of kind %s are not as wanted: %+v", kind, all)
		}
	}
}

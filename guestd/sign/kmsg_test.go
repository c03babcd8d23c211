//go:build linux

package sign

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"headgate/integration/need"
	"headgate/wire/feed"
)

const forkLine = "random: crng reseeded due to virtual machine fork\n" // Linux 5.18 and later

func TestForked(t *testing.T) {
	for record, want := range map[string]bool{
		"5,339,5140900,-;" + forkLine:                              true,
		"0,339,5140900,-,caller=T1;" + forkLine + " SUBSYSTEM=x\n": true, // CONFIG_PRINTK_CALLER
		"5,1,2,-;random: crng reseeded on virtual machine fork":    true, // should it be put otherwise
		"13,339,5140900,-;" + forkLine:                             false,
		"8,339,5140900,-;" + forkLine:                              false,
		"5,339,5140900,-;" + "my " + forkLine:                      false,
		"5,339,5140900,-;random: crng init done\n":                 false,
		"5,339,5140900,-;random: x\n K=" + forkLine:                false,
		"5,339,5140900,-;random: x\n" + forkLine:                   false,
		forkLine:                                                   false, "": false, ";" + forkLine: false, "5;" + forkLine: false, ",;" + forkLine: false,
	} {
		if got := forked([]byte(record)); got != want {
			t.Errorf("%q: %v", record, got)
		}
	}
}

func FuzzForked(f *testing.F) {
	f.Add([]byte("5,339,5140900,-;" + forkLine))
	f.Add([]byte("13,339,5140900,-;" + forkLine + " SUBSYSTEM=x\n DEVICE=+pci:0000:00:01.0\n"))
	f.Add([]byte("0,\n;" + forkLine))
	f.Fuzz(func(t *testing.T, record []byte) {
		got := forked(record)
		// Whoever writes a whole record, a facility of their own is not the kernel's.
		for _, facility := range []string{"1", "8", "15"} {
			if forked(append([]byte(facility), record...)) && (len(record) == 0 || record[0] != ',') {
				t.Error("another facility is believed")
			}
		}
		if !got {
			return
		}
		if !bytes.Contains(record, []byte(";random: ")) || record[0] > '7' || record[1] != ',' {
			t.Error("a sign out of nothing")
		}
		if line, _, _ := bytes.Cut(record, []byte("\n")); !forked(line) || !forked(append(line[:len(line):len(line)], "\n K=V\n"...)) {
			t.Error("what comes after the line matters")
		}
	})
}

func TestFork(t *testing.T) {
	g := newGuest(t)
	g.start(t)
	for i := range 3 {
		for _, record := range []string{"6,1,2,-;eth0: link up\n", "30,2,3,-;" + forkLine, "5,3,4,-;" + forkLine} {
			g.record(t, record)
			time.Sleep(5 * time.Millisecond) // a FIFO does not keep records apart
		}
		if s := g.await(t, feed.ReasonFork); s.N != 0 {
			t.Errorf("%d: mix %x", i, s.Mix[:s.N])
		}
	}
	g.quiet(t, 10*time.Millisecond)
}

func needRoot(t *testing.T, err error) {
	t.Helper()
	need.Unmet(t, err, ": run this as root")
}

// The real log of the machine that runs the test: opened at its end, its records come
// one by one and wake the reader, and what user space writes is not the kernel's word.
func TestRealLog(t *testing.T) {
	w, err := os.OpenFile("/dev/kmsg", os.O_WRONLY, 0)
	if err != nil {
		needRoot(t, err)
	}
	defer func() { _ = w.Close() }()
	l, err := (&Watcher{now: time.Now}).openLog()
	if err != nil {
		needRoot(t, err)
	}
	defer func() { _ = unix.Close(l.fd) }()
	nonce := strconv.FormatInt(time.Now().UnixNano(), 36)
	late := time.AfterFunc(10*time.Second, func() { _ = l.ready.inner.Close() })
	defer late.Stop()
	time.AfterFunc(20*time.Millisecond, func() {
		_, _ = w.WriteString("<5>random: guestd's test " + nonce + " of virtual machine fork\n")
	})
	for {
		b, err := l.next()
		if err != nil {
			t.Fatal(err)
		}
		record := string(b)
		if !strings.Contains(record, nonce) {
			continue
		}
		if forked(b) {
			t.Errorf("believed: %q", record)
		}
		if _, rest, _ := strings.Cut(record, ","); !forked([]byte("5," + rest)) {
			t.Errorf("not understood: %q", record)
		}
		break
	}
	time.AfterFunc(20*time.Millisecond, func() { _ = l.ready.inner.Close() })
	for {
		b, err := l.next()
		if err != nil {
			break // closed, while it waited
		}
		if strings.Contains(string(b), nonce) {
			t.Error("read twice")
		}
	}
}

// Nobody is woken by what comes while nobody waits, and what came is seen then.
func TestReadable(t *testing.T) {
	here, there := socketPair(t)
	defer func() { _ = unix.Close(here) }()
	r, err := newReadable(here)
	if err != nil {
		t.Fatal(err)
	}
	send := func() {
		if err := unix.Sendto(there, []byte("x"), 0, nil); err != nil {
			t.Error(err)
		}
	}
	var b [8]byte
	for range 3 {
		time.AfterFunc(5*time.Millisecond, send)
		began := time.Now()
		if err := r.wait(); err != nil || time.Since(began) < 4*time.Millisecond {
			t.Fatalf("%v after %v", err, time.Since(began))
		}
		send() // not armed
		for range 2 {
			if _, err := unix.Read(here, b[:]); err != nil {
				t.Fatal(err)
			}
		}
		send()
		if err := r.wait(); err != nil {
			t.Fatal(err)
		}
		if _, err := unix.Read(here, b[:]); err != nil {
			t.Fatal(err)
		}
	}
	time.AfterFunc(5*time.Millisecond, func() { _ = r.inner.Close() })
	if err := r.wait(); err == nil {
		t.Error("closed, and it returns")
	}
}

package xenstore

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// What xenstored must not send ends the connection, and all that wait are told.
func TestBrokenServer(t *testing.T) {
	oversized := append(make([]byte, 12), 1, 16, 0, 0) // 4097 bytes
	for name, answer := range map[string]func(h header, payload string) []byte{
		"oversized":      func(header, string) []byte { return oversized },
		"rubbish":        func(header, string) []byte { return bytes.Repeat([]byte{0xa5}, 5000) },
		"another id":     func(h header, _ string) []byte { h.req++; return appendMessage(nil, h, "v") },
		"id 0":           func(h header, _ string) []byte { h.req = 0; return appendMessage(nil, h, "v") },
		"another kind":   func(h header, _ string) []byte { h.op = opMkdir; return appendMessage(nil, h, "OK\x00") },
		"twice":          func(h header, _ string) []byte { b := appendMessage(nil, h, "v"); return append(b, b...) },
		"nameless error": func(h header, _ string) []byte { h.op = opError; return appendMessage(nil, h, "ENOENT") },
		"bare event":     func(header, string) []byte { return appendMessage(nil, header{op: opWatchEvent}, "a\x00") },
		"unasked before": func(h header, _ string) []byte {
			return append(appendMessage(nil, header{op: opRead}, "x"), appendMessage(nil, h, "v")...)
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, f := connected(t, patience)
			f.answer(answer)
			v, err := c.Read("a")
			wait(t, c.Done(), "the end of the connection")
			if !errors.Is(c.Err(), ErrProtocol) {
				t.Errorf("over because of %v", c.Err())
			}
			// The good reply before a second one may have been taken.
			if name == "twice" && err == nil && v == "v" {
				return
			}
			var e *Error
			if !errors.Is(err, ErrProtocol) || !errors.As(err, &e) || e.Op != "read" || e.Path != "a" {
				t.Errorf("read: %q, %v", v, err)
			}
		})
	}
}

// What is whole and no answer to what was asked is an error of that request.
func TestOddAnswers(t *testing.T) {
	for name, test := range map[string]struct {
		payload string
		ask     func(c *Conn) error
	}{
		"no OK":        {"KO\x00", func(c *Conn) error { return c.Write("a", "b") }},
		"names":        {"a\x00\x00", func(c *Conn) error { _, err := c.List("a"); return err }},
		"open name":    {"a\x00b", func(c *Conn) error { _, err := c.List("a"); return err }},
		"no perms":     {"", func(c *Conn) error { _, err := c.Perms("a"); return err }},
		"odd perms":    {"x5\x00", func(c *Conn) error { _, err := c.Perms("a"); return err }},
		"large domain": {"n65536\x00", func(c *Conn) error { _, err := c.Perms("a"); return err }},
		"domain path":  {"/a//b\x00", func(c *Conn) error { _, err := c.DomainPath(1); return err }},
		"transaction":  {"0\x00", func(c *Conn) error { return c.Update(func(*Tx) error { return nil }) }},
		"watch":        {"", func(c *Conn) error { _, err := c.Watch("a"); return err }},
	} {
		t.Run(name, func(t *testing.T) {
			c, f := connected(t, patience)
			f.answer(func(h header, _ string) []byte { return appendMessage(nil, h, test.payload) })
			if err := test.ask(c); !errors.Is(err, ErrProtocol) {
				t.Errorf("%v", err)
			}
			if c.Err() != nil {
				t.Errorf("over because of %v", c.Err())
			}
			if len(c.watches) != 0 {
				t.Error("a watch is left")
			}
		})
	}
}

func TestUnknownError(t *testing.T) {
	c, f := connected(t, patience)
	f.answer(func(h header, _ string) []byte {
		h.op = opError
		return appendMessage(nil, h, strings.Repeat("\x1b[31m", 500)+nul)
	})
	_, err := c.Read("a")
	if !errors.Is(err, syscall.EINVAL) || len(err.Error()) > 200 || strings.ContainsRune(err.Error(), '\x1b') {
		t.Errorf("%q", err)
	}
}

// A list that never ends, and one that always changes, end.
func TestEndlessList(t *testing.T) {
	for name, test := range map[string]struct {
		generation func(i int) string
		want       error
	}{
		"endless":  {func(int) string { return "7" }, errTooMany},
		"restless": {func(i int) string { return strings.Repeat("1", 1+i%2) }, errRestless},
	} {
		t.Run(name, func(t *testing.T) {
			c, f := connected(t, patience)
			names := strings.Repeat("name\x00", 800)
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				for i := 0; ; i++ {
					h, _ := f.request()
					switch h.op {
					case opDirectory:
						h.op = opError
						f.reply(h, "E2BIG\x00")
					case opDirectoryPart:
						f.reply(h, test.generation(i)+nul+names)
					default:
						return // the read below
					}
				}
			}()
			if _, err := c.List("a"); !errors.Is(err, test.want) {
				t.Errorf("%v", err)
			}
			go func() { _, _ = c.Read("a") }()
			wait(t, ended, "the next request")
		})
	}
}

// The header and the payload come in any pieces.
func TestPieces(t *testing.T) {
	c, f := connected(t, patience)
	go func() {
		h, _ := f.request()
		b := appendMessage(nil, header{op: opWatchEvent}, "nobody\x00's\x00")
		b = appendMessage(b, h, strings.Repeat("v", payloadMax))
		for i := range b {
			if i < 60 || i%500 == 0 {
				time.Sleep(100 * time.Microsecond)
			}
			f.send(b[i : i+1])
		}
	}()
	if v, err := c.Read("a"); err != nil || v != strings.Repeat("v", payloadMax) {
		t.Errorf("%d bytes, %v", len(v), err)
	}
}

func TestHangs(t *testing.T) {
	c, f := connected(t, 50*time.Millisecond)
	began := time.Now()
	var waiting [3]error
	done := make(chan struct{})
	for i := range waiting {
		go func() {
			_, waiting[i] = c.Read("a")
			done <- struct{}{}
		}()
	}
	for range waiting {
		wait(t, done, "the end of a read")
	}
	for _, err := range waiting {
		if !errors.Is(err, ErrHangs) {
			t.Errorf("read: %v", err)
		}
	}
	if took := time.Since(began); took < 40*time.Millisecond {
		t.Errorf("gave up after %v", took)
	}
	wait(t, c.Done(), "the end of the connection")
	if err := c.Write("a", "b"); !errors.Is(err, ErrHangs) {
		t.Errorf("write: %v", err)
	}
	_, _ = f.request() // one of them came
}

// The peer's end is full and takes nothing: that is a hang, too.
func TestHangsInWrite(t *testing.T) {
	closed := make(chan struct{})
	in, out := io.Pipe()
	defer func() { _ = out.Close() }()
	c := start(&scripted{
		in: in, close: func() { close(closed) },
		write: func([]byte) error { <-closed; return os.ErrClosed },
	}, false, 50*time.Millisecond)
	if _, err := c.Read("a"); !errors.Is(err, ErrHangs) {
		t.Errorf("read: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// A write that the kernel does not let go of (a watch, with xenstored stuck) holds up
// neither the caller nor Close.
func TestStuckInKernel(t *testing.T) {
	release := make(chan struct{})
	in, out := io.Pipe()
	defer func() { _ = out.Close() }()
	c := start(&scripted{
		in: in, close: func() {},
		write: func([]byte) error { <-release; return nil },
	}, true, 30*time.Millisecond)
	if _, err := c.Watch("a"); !errors.Is(err, ErrHangs) {
		t.Errorf("watch: %v", err)
	}
	if err := c.Close(); !errors.Is(err, ErrHangs) {
		t.Errorf("close: %v", err)
	}
	close(release)
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// /dev/xen/xenbus gives refusals of a watch as errors of write(2), and old kernels
// answer watches with a req_id of 0.
func TestDeviceRefusesInWrite(t *testing.T) {
	in, out := io.Pipe()
	var refuse error
	c := start(&scripted{in: in, close: func() {}, write: func(b []byte) error {
		h, payload, _, _ := nextMessage(b)
		if refuse != nil {
			return refuse
		}
		reply := "v"
		if h.op == opWatch || h.op == opUnwatch {
			_, token, _ := parseEvent(payload)
			_, err := out.Write(appendMessage(nil, header{op: opWatchEvent, req: 0xdead}, "a"+nul+string(token)+nul))
			if err != nil {
				return err
			}
			h.req, reply = 0, "OK\x00"
		}
		go func() { _, _ = out.Write(appendMessage(nil, h, reply)) }()
		return nil
	}}, true, patience)
	defer func() { _ = c.Close() }()

	refuse = &fs.PathError{Op: "write", Path: DevicePath, Err: syscall.ENOSPC}
	if _, err := c.Watch("a"); !errors.Is(err, syscall.ENOSPC) || err.Error() != "xenstore watch a: no space left on device" {
		t.Errorf("watch: %v", err)
	}
	refuse = nil
	if v, err := c.Read("a"); v != "v" || err != nil {
		t.Errorf("read after a refusal: %q, %v", v, err)
	}
	w, err := c.Watch("a")
	if err != nil {
		t.Fatal(err)
	}
	wait(t, w.C, "the first event")
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	if err := c.Write("a", strings.Repeat("v", 4080-2)); !errors.Is(err, ErrProtocol) { // answered with v
		t.Errorf("write of 4080 bytes: %v", err)
	}
	if err := c.Write("a", strings.Repeat("v", 4081-2)); !errors.Is(err, errTooLong) {
		t.Errorf("write of 4081 bytes: %v", err)
	}
}

// A storm of events leaves one signal and no memory behind.
func TestStorm(t *testing.T) {
	c, f := connected(t, patience)
	f.answer(func(h header, _ string) []byte { return appendMessage(nil, h, "OK\x00") })
	w, err := c.Watch("a")
	if err != nil {
		t.Fatal(err)
	}
	var events []byte
	for range 100 {
		events = appendMessage(events, header{op: opWatchEvent}, "a/b\x001\x00")
	}
	allocs := testing.AllocsPerRun(50, func() { f.send(events) })
	f.answer(func(h header, _ string) []byte { return appendMessage(nil, h, "v") })
	if _, err := c.Read("a"); err != nil { // behind all of them
		t.Fatal(err)
	}
	if allocs > 20 {
		t.Errorf("%v allocations for 100 events", allocs)
	}
	wait(t, w.C, "an event")
	select {
	case <-w.C:
		t.Error("more than one signal")
	default:
	}
}

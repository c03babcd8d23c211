package control

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"headgate/backends"
	"headgate/hostd/config"
	"headgate/hostd/events"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func fake() *Fake {
	return NewFake(Status{Version: "1.2.3", Sources: []SourceStatus{{Name: "trng0", State: backends.Up}}})
}

// serve runs a server on a socket until the test ends.
func serve(t *testing.T, d Daemon) (*Client, string) {
	t.Helper()
	c, path, _ := serveUntil(t, d)
	return c, path
}

// serveUntil runs a server until stop is called, or the test ends.
func serveUntil(t *testing.T, d Daemon) (c *Client, path string, stop func()) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "c.sock")
	s := NewServer(path, d, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "headgate_source_up 1\n")
	}))
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	c = Dial(path)
	t.Cleanup(func() {
		stop()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(time.Second):
			t.Error("the server did not stop within a second")
		}
		c.Close()
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the socket is still there: %v", err)
		}
	})
	return c, path, stop
}

func spec(name string) GuestSpec {
	return GuestSpec{Guest: config.Guest{Name: name, Pipes: []config.Pipe{{Kind: "qemu", Path: "/run/" + name}}}}
}

func TestGuestsComeAndGo(t *testing.T) {
	c, _ := serve(t, fake())
	ctx := t.Context()
	s := spec("web1")
	s.Rate, s.Transient = config.Unlimited, true
	g, err := c.AddGuest(ctx, s)
	if err != nil || g.Name != "web1" || g.Rate != config.Unlimited || g.Class != "default" || !g.Transient || g.Burst != 4096 {
		t.Fatalf("added %+v, %v", g, err)
	}
	if _, err := c.AddGuest(ctx, s); !errors.Is(err, ErrExists) {
		t.Errorf("added twice: %v", err)
	}
	s.Name, s.Class = "!", "tin"
	if _, err := c.AddGuest(ctx, s); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "guest.name") || !strings.Contains(err.Error(), "guest.class") {
		t.Errorf("added wrongly: %v", err)
	}
	weight := 7
	if g, err = c.SetGuest(ctx, "web1", GuestPatch{Weight: &weight}); err != nil || g.Weight != 7 || g.Rate != config.Unlimited {
		t.Errorf("set %+v, %v", g, err)
	}
	weight = 0
	if _, err = c.SetGuest(ctx, "web1", GuestPatch{Weight: &weight}); !errors.Is(err, ErrInvalid) {
		t.Errorf("set wrongly: %v", err)
	}
	if g, err = c.Guest(ctx, "web1"); err != nil || g.Weight != 7 {
		t.Errorf("guest %+v, %v", g, err)
	}
	if _, err := c.PushGuest(ctx, "web1"); !errors.Is(err, ErrInvalid) {
		t.Errorf("pushed to none that guestd is at the end of: %v", err)
	}
	s = spec("db1")
	s.Pipes[0].Kind = "port"
	if _, err := c.AddGuest(ctx, s); err != nil {
		t.Fatal(err)
	}
	if p, err := c.PushGuest(ctx, "db1"); err != nil || p.Guest != "db1" || len(p.Pipes) != 1 || p.Pipes[0] != (PipePush{"port", "/run/db1", PushLater}) || p.Sent() {
		t.Errorf("pushed %+v, %v", p, err)
	}
	if err := c.RemoveGuest(ctx, "db1"); err != nil {
		t.Error(err)
	}
	if _, err := c.PushGuest(ctx, "db1"); !errors.Is(err, ErrNotFound) {
		t.Errorf("pushed to nobody: %v", err)
	}
	if list, err := c.Guests(ctx); err != nil || len(list) != 1 {
		t.Errorf("guests %+v, %v", list, err)
	}
	if err := c.RemoveGuest(ctx, "web1"); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"web1", "a/b", "..", "%00", "?x"} {
		if err := c.RemoveGuest(ctx, name); !errors.Is(err, ErrNotFound) {
			t.Errorf("removed %q: %v", name, err)
		}
	}
}

func TestStatusSourcesReloadVersion(t *testing.T) {
	f := fake()
	c, _ := serve(t, f)
	s, err := c.Status(t.Context())
	if err != nil || s.Version != "1.2.3" {
		t.Errorf("status %+v, %v", s, err)
	}
	if list, err := c.Sources(t.Context()); err != nil || len(list) != 1 || list[0].Name != "trng0" {
		t.Errorf("sources %+v, %v", list, err)
	}
	if err := c.Reload(t.Context()); err != nil {
		t.Error(err)
	}
	_, f.ReloadErr = config.Parse("hostd.toml", []byte("x = 1\ny = 2"))
	if err := c.Reload(t.Context()); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "hostd.toml:2: y: unknown key") {
		t.Errorf("a bad reload: %v", err)
	}
	f.ReloadErr = errors.New("disk is gone")
	var e *Error
	if err := c.Reload(t.Context()); !errors.As(err, &e) || e.Status != 500 {
		t.Errorf("a failed reload: %v", err)
	}
	for path, want := range map[string]string{"/metrics": "headgate_source_up 1\n", "/v1/version": "{\"version\":\"1.2.3\"}\n"} {
		r, err := c.send(t.Context(), "GET", path, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, _ := io.ReadAll(r.Body)
		r.Body.Close()
		if string(got) != want {
			t.Errorf("%s: %q", path, got)
		}
	}
}

func TestSourceTestAndCapture(t *testing.T) {
	f := fake()
	f.Test = SourceTest{Passed: true, Estimate: 7.5}
	c, _ := serve(t, f)
	if got, err := c.TestSource(t.Context(), "trng0", 2048); err != nil || got.Samples != 2048 || !got.Passed {
		t.Errorf("test %+v, %v", got, err)
	}
	if _, err := c.TestSource(t.Context(), "trng0", 10); !errors.Is(err, ErrInvalid) {
		t.Errorf("a test of ten samples: %v", err)
	}
	if _, err := c.TestSource(t.Context(), "dice", 2048); !errors.Is(err, ErrNotFound) {
		t.Errorf("a test of no source: %v", err)
	}
	var out bytes.Buffer
	if err := c.CaptureSource(t.Context(), "trng0", 100_000, &out); err != nil || out.Len() != 100_000 || out.Bytes()[4097] != 1 {
		t.Errorf("capture of %d bytes: %v", out.Len(), err)
	}
	if err := c.CaptureSource(t.Context(), "dice", 10, &out); !errors.Is(err, ErrNotFound) {
		t.Errorf("a capture of no source: %v", err)
	}
}

// stopping is a fake whose captures end with an error once half is written.
type stopping struct{ *Fake }

func (s stopping) CaptureSource(ctx context.Context, name string, n int, w io.Writer) error {
	if err := s.Fake.CaptureSource(ctx, name, n/2, w); err != nil {
		return err
	}
	return errors.New("the source\nstuck")
}

func TestCaptureThatEndsEarlySaysWhy(t *testing.T) {
	c, _ := serve(t, stopping{fake()})
	var out bytes.Buffer
	if err := c.CaptureSource(t.Context(), "trng0", 1000, &out); err == nil || err.Error() != "the source stuck" || out.Len() != 500 {
		t.Errorf("after %d bytes: %v", out.Len(), err)
	}
	var e *Error // nothing was sent yet: the status tells
	if err := c.CaptureSource(t.Context(), "trng0", 1, &out); !errors.As(err, &e) || e.Status != 500 {
		t.Errorf("before any byte: %v", err)
	}
}

func TestCaptureEndsWhenTheClientGoes(t *testing.T) {
	f := fake()
	f.Stall = true
	c, _ := serve(t, f)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := c.CaptureSource(ctx, "trng0", 1000, io.Discard); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a stalled capture: %v", err)
	}
}

func TestFollowUntilTheServerStops(t *testing.T) {
	f := fake()
	c, _, stop := serveUntil(t, f)
	f.log.Add(events.Event{Kind: "first"})
	var kinds []string
	list := func(e events.Event) error { kinds = append(kinds, e.Kind); return nil }
	if err := c.Events(t.Context(), 0, false, list); err != nil || len(kinds) != 1 {
		t.Fatalf("events %v, %v", kinds, err)
	}
	got := make(chan string)
	ended := make(chan error)
	go func() {
		ended <- c.Events(context.Background(), 0, true, func(e events.Event) error { got <- e.Kind; return nil })
	}()
	if k := <-got; k != "first" {
		t.Error(k)
	}
	f.log.Add(events.Event{Kind: "second"})
	if k := <-got; k != "second" {
		t.Error(k)
	}
	stop()
	if err := <-ended; err == nil {
		t.Error("following ended without an error when the server stopped")
	}
}

// TestLongAnswersOutliveTheDeadlines: following and capturing go on for longer
// than a request may otherwise take.
func TestLongAnswersOutliveTheDeadlines(t *testing.T) {
	f := fake()
	f.Stall = true
	path := filepath.Join(t.TempDir(), "c.sock")
	s := NewServer(path, f, nil)
	s.http.ReadTimeout, s.http.WriteTimeout = 20*time.Millisecond, 20*time.Millisecond
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ran := make(chan error)
	go func() { ran <- s.Run(ctx) }()
	c := Dial(path)
	f.log.Add(events.Event{Kind: "first"})
	captured := make(chan time.Duration)
	go func() {
		started := time.Now()
		_ = c.CaptureSource(context.Background(), "trng0", 1000, io.Discard)
		captured <- time.Since(started)
	}()
	err := c.Events(t.Context(), 0, true, func(e events.Event) error {
		if e.Kind == "last" {
			return io.EOF
		}
		time.AfterFunc(150*time.Millisecond, func() { f.log.Add(events.Event{Kind: "last"}) })
		return nil
	})
	if !errors.Is(err, io.EOF) {
		t.Errorf("following ended with %v", err)
	}
	stop()
	if took := <-captured; took < 150*time.Millisecond {
		t.Errorf("the capture ended after %v", took)
	}
	if err := <-ran; err != nil {
		t.Error(err)
	}
	c.Close()
}

package daemon

import (
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"headgate/hostd/config"
	"headgate/hostd/control"
	"headgate/wire/feed"
	"headgate/xen"
)

// pushOf reads one frame, which has to be a push.
func (h hosting) pushOf(conn net.Conn) {
	h.t.Helper()
	like, err := feed.Append(nil, &feed.Frame{Type: feed.TypePush, Data: make([]byte, 64)})
	if err != nil {
		h.t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.ReadFull(conn, like); err != nil {
		h.t.Fatalf("a push: %v", err)
	}
	f, _, err := (&feed.Decoder{Accept: feed.ToGuest}).Next(like)
	if err != nil || f.Type != feed.TypePush {
		h.t.Fatalf("%v, %v", f.Type, err)
	}
}

// guestd connects to a port, and takes the push that the connection begins with.
func (h hosting) guestd(path string) net.Conn {
	h.t.Helper()
	conn := h.dial(path)
	h.pushOf(conn)
	return conn
}

func (h hosting) report(conn net.Conn, r feed.Report) {
	h.t.Helper()
	b, err := feed.Append(nil, &feed.Frame{Type: feed.TypeReport, Report: r})
	if err == nil {
		_, err = conn.Write(b)
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

// libvirt's event alone, and no more that is asked, has guestd pushed to.
func TestADomainThatGoesOnIsPushedTo(t *testing.T) {
	h := host(t, "")
	web := h.withPort(h.machine("web1", 1, 7))
	h.boot(web)
	h.plug(h.socket("web1"))
	port := h.guestd(h.port("web1"))
	h.report(port, feed.Report{Reason: "start", Seeded: 1})
	h.await(func() bool { return h.guest("web1").SeededSeconds > 0 })
	sink{h.Daemon}.Resumed(web.UUID, false)
	h.pushOf(port)
	h.await(func() bool { return h.guest("web1").Seeded }) // by the push alone
	if s := h.guest("web1"); s.SeededSeconds != 0 {
		t.Errorf("%v s after a push that was not reported on", s.SeededSeconds)
	}
	h.report(port, feed.Report{Reason: "push", Seeded: 2})
	h.await(func() bool { return h.guest("web1").SeededSeconds > 0 })
	if said := h.said("guest_pushed"); len(said) != 1 || !strings.HasPrefix(said[0], "web1: fresh bytes pushed") {
		t.Errorf("%q", said)
	}
	sink{h.Daemon}.Resumed(web.UUID, true)
	h.pushOf(port)
	if said := h.said("libvirt_fresh"); len(said) != 1 || len(h.said("guest_pushed")) != 1 {
		t.Errorf("%q", said)
	}
	before := h.guest("web1").Bytes
	sink{h.Daemon}.Resumed(uuidOf(9), true)
	port.Close()
	h.await(func() bool { return !h.guest("web1").Pipes[1].Connected })
	h.resume(web.UUID, false)
	if g := h.guest("web1"); g.Bytes != before || !g.Seeded {
		t.Errorf("with nobody to push to: %+v", g)
	}
}

// That a new QEMU begins to run is told as any other going on.
func TestAStartIsNoReasonToPush(t *testing.T) {
	h := host(t, "")
	web := h.withPort(h.machine("web1", 1, 7))
	h.hook("prepare", unlabelled(web))
	h.hook("start", web)
	h.pid("web1")
	port := h.guestd(h.port("web1"))
	h.resume(web.UUID, false)
	if g := h.guest("web1"); g.Bytes != 64 || len(h.said("guest_pushed")) != 0 {
		t.Errorf("%d bytes, said %q", g.Bytes, h.said("guest_pushed"))
	}
	sink{h.Daemon}.Up(web, time.Now()) // it runs
	h.resume(web.UUID, false)
	h.pushOf(port)
	// That it is started cannot have been seen for ever.
	h.hook("start", web)
	h.mu.Lock()
	h.domains[web.UUID].starts = time.Now()
	h.mu.Unlock()
	h.resume(web.UUID, false)
	h.pushOf(port)
}

// A guest that is paused and resumed without end gets what it may draw, and no more.
func TestGoingOnAgainAndAgainGainsNothing(t *testing.T) {
	h := host(t, "[[class]]\nname = \"default\"\nrate = \"64B/s\"\nburst = \"64B\"\n")
	web := h.withPort(h.machine("web1", 1, 7))
	web.RNGs = nil
	h.boot(web)
	port := h.guestd(h.port("web1"))
	go func() { _, _ = io.Copy(io.Discard, port) }()
	begun := time.Now()
	for time.Since(begun) < 2*time.Second {
		for range 100 {
			sink{h.Daemon}.Resumed(web.UUID, false)
		}
		time.Sleep(time.Millisecond)
	}
	// Its burst, its advance, which it owes then, and its rate.
	if got, most := h.guest("web1").Bytes, uint64(64+64+64*time.Since(begun).Seconds()+64); got > most {
		t.Errorf("it was given %d bytes, and may have %d", got, most)
	}
	if n := len(h.said("guest_pushed")); n == 0 || n > 25 {
		t.Errorf("told %d times", n)
	}
}

// What comes before it can be done is done once.
func TestResumesAreCoalescedAndBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, resumed := newResumes(), map[string][]bool{}
		first := make(chan struct{})
		go func() {
			_ = r.run(t.Context(), func(uuid string, fresh bool) {
				resumed[uuid] = append(resumed[uuid], fresh)
				<-first
			})
		}()
		r.add("a", false)
		synctest.Wait()
		for range 1000 {
			r.add("a", false)
			r.add("b", false)
			r.add("b", true)
			r.add("b", false)
		}
		close(first)
		synctest.Wait()
		if !slices.Equal(resumed["a"], []bool{false, false}) || !slices.Equal(resumed["b"], []bool{true}) {
			t.Errorf("%v", resumed)
		}
	})
	r := newResumes()
	for i := range 2 * maxResumes {
		r.add(uuidOf(i), false)
	}
	if len(r.due) != maxResumes {
		t.Errorf("%d wait", len(r.due))
	}
}

func TestPushGuest(t *testing.T) {
	h := host(t, "[[guest]]\nname = \"db1\"\npipes = [\"port:DIR/db1\", \"egd:DIR/db1.egd\"]\n[[guest]]\nname = \"old\"\npipes = [\"qemu:DIR/old\"]\n")
	results := func(name string) (all []control.PushResult) {
		t.Helper()
		p, err := h.PushGuest(name)
		if err != nil || p.Guest != name {
			t.Fatalf("%+v, %v", p, err)
		}
		for _, pipe := range p.Pipes {
			all = append(all, pipe.Result)
		}
		return all
	}
	if got := results("db1"); !slices.Equal(got, []control.PushResult{control.PushLater, control.PushNever}) {
		t.Errorf("nobody is connected: %v", got)
	}
	port := h.guestd(h.dir + "/db1")
	if got := results("db1"); !slices.Equal(got, []control.PushResult{control.PushSent, control.PushNever}) {
		t.Errorf("%v", got)
	}
	h.pushOf(port)
	if said := h.said("guest_pushed"); len(said) != 1 {
		t.Errorf("%q", said)
	}
	if _, err := h.PushGuest("none"); !errors.Is(err, control.ErrNotFound) {
		t.Errorf("%v", err)
	}
	web := h.machine("web1", 1, 7)
	h.boot(web)
	for guest, cure := range map[string]string{"old": "give it a port, vchan or channel pipe", "web1": "hostd libvirt attach web1 --port"} {
		if _, err := h.PushGuest(guest); !errors.Is(err, control.ErrInvalid) || !strings.Contains(err.Error(), cure) {
			t.Errorf("%s: %v", guest, err)
		}
	}
}

// guestd that is not always connected is rung for.
func TestPushOverARing(t *testing.T) {
	x := xenHosting(t, following)
	x.attach(uuidOf(1), xen.Policy{})
	x.domain(5, "web1", uuidOf(1))
	x.hungry("web1")
	want := func(result control.PushResult) {
		t.Helper()
		if p, err := x.PushGuest("web1"); err != nil || len(p.Pipes) != 1 || p.Pipes[0] != (control.PipePush{Kind: config.Vchan, Path: uuidOf(1), Result: result}) {
			t.Errorf("%+v, %v", p, err)
		}
	}
	want(control.PushLater)
	x.offers(5, 8)
	x.fed("web1", 5)
	want(control.PushRung)
}

package daemon

import (
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A host without libvirt is no reason to worry, and following can be turned on and
// off live. What takes a restart is said.
func TestFollowingIsTurnedOnAndOff(t *testing.T) {
	text := func(follow bool, guests string) string {
		return fmt.Sprintf("[libvirt]\nfollow = %v\nsocket = \"DIR/libvirt/none\"\nguests = %q\n", follow, guests)
	}
	r := start(t, t.TempDir(), text(false, "/run/hg-a"))
	h := hosting{r}
	if s := r.Status().Libvirt; s.Follow || s.Connected || s.Error != "" {
		t.Errorf("%+v", s)
	}
	r.write(text(true, "/run/hg-b"))
	if err := r.Reload(); err != nil {
		t.Fatal(err)
	}
	h.await(func() bool { s := r.Status().Libvirt; return s.Follow && s.Error != "" })
	if s := r.Status().Libvirt; !strings.Contains(s.Error, r.dir+"/libvirt/none") || s.Connected || s.Guests != "/run/hg-a" {
		t.Errorf("%+v", s)
	}
	if e := h.levelOf("libvirt_lost"); e.Level != slog.LevelInfo {
		t.Errorf("%+v", e)
	}
	if w := r.Status().Warnings; !slices.Contains(w, "the new libvirt.guests takes effect when hostd is restarted") {
		t.Errorf("warnings %q", w)
	}
	r.write(text(false, "/run/hg-a"))
	if err := r.Reload(); err != nil {
		t.Fatal(err)
	}
	h.await(func() bool { s := r.Status().Libvirt; return !s.Follow && s.Error == "" })
}

func TestWhatLibvirtSaysOfItself(t *testing.T) {
	h := host(t, "")
	s := sink{h.Daemon}
	s.Connected("/run/libvirt/libvirt-sock-ro", "9.0.0")
	if l := h.Status().Libvirt; !l.Connected || l.Socket != "/run/libvirt/libvirt-sock-ro" || l.Version != "9.0.0" || l.Error != "" {
		t.Errorf("%+v", l)
	}
	web := h.machine("web1", 1, 7)
	h.boot(web)
	s.Lost(fmt.Errorf("it has gone: %w", fs.ErrNotExist))
	if l := h.Status().Libvirt; l.Connected || !strings.Contains(l.Error, "it has gone") || l.Domains != 1 {
		t.Errorf("%+v", l)
	}
	if e := h.levelOf("libvirt_lost"); e.Level != slog.LevelWarn {
		t.Errorf("libvirt was there and is gone: %+v", e)
	}
	s.Connected("/run/libvirt/libvirt-sock-ro", "9.0.0")
	s.Held(web.UUID, web.Name)
	s.All(nil, []string{web.UUID}, time.Now())
	if !h.has("web1") || len(h.said("domain_held")) != 1 {
		t.Error("libvirt does not say how it is, and it is not there any more, or nothing is said of it")
	}
	s.All(nil, nil, time.Now())
	if h.has("web1") {
		t.Error("it ended while libvirt was away, and is there still")
	}
	if n := len(h.said("libvirt_connected")); n != 2 {
		t.Errorf("%d connects were told", n)
	}
}

// What began is looked at ten seconds later, once, also if it was told of twice.
func TestLooksComeLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		l, looked := newLooks(), map[string]time.Duration{}
		done := make(chan error)
		go func() {
			done <- l.run(t.Context(), func(uuid string) {
				if _, twice := looked[uuid]; twice {
					t.Errorf("%s was looked at twice", uuid)
				}
				looked[uuid] = time.Since(began)
			})
		}()
		for i := range 10 {
			l.later(uuidOf(i), time.Now().Add(lookAfter))
			l.later(uuidOf(i), time.Now().Add(lookAfter))
			l.later(uuidOf(99), time.Now().Add(lookAfter)) // again and again: the last counts
			time.Sleep(time.Second)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		for i := range 10 {
			if at := looked[uuidOf(i)]; at < lookAfter+time.Duration(i)*time.Second || at > lookAfter+time.Duration(i+2)*time.Second {
				t.Errorf("%d was looked at after %v", i, at)
			}
		}
		if at := looked[uuidOf(99)]; at < lookAfter+9*time.Second {
			t.Errorf("looked at %v after it was told of last", at-9*time.Second)
		}
		if len(looked) != 11 || len(l.due) != 0 {
			t.Errorf("%d looked at, %d left over", len(looked), len(l.due))
		}
		for i := range 2 * maxLooks {
			l.later(uuidOf(i), time.Now().Add(time.Hour))
		}
		if len(l.due) != maxLooks {
			t.Errorf("%d are remembered", len(l.due))
		}
		t.Cleanup(func() {
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	})
}

// A guest that asks for more than there is, and reads nothing, ends at once: its
// domain's end waits for that.
func TestABusyGuestEndsAtOnce(t *testing.T) {
	h := host(t, "[[class]]\nname = \"default\"\nrate = \"1B/s\"\nburst = \"64B\"\n")
	web := h.machine("web1", 1, 7)
	h.boot(web)
	conn := h.plug(h.socket("web1"))
	for range 100 {
		if _, err := conn.Write([]byte{2, 255}); err != nil {
			t.Fatal(err)
		}
	}
	h.await(func() bool { return h.guest("web1").Waiting })
	begun := time.Now()
	h.halt(web)
	if took := time.Since(begun); took > time.Second {
		t.Errorf("it took %v", took)
	}
	h.gone(conn)
}

package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"headgate/hostd/config"
	"headgate/hostd/control"
	"headgate/hostd/events"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a daemon in this process, over its own folder.
type rig struct {
	*Daemon
	t    testing.TB
	dir  string
	log  *bytes.Buffer
	stop func()
}

// start runs a daemon with a configuration, in which DIR is its folder. Without
// a [[source]] it is given one that never comes; without [libvirt] or [xen] it does not
// follow that of this machine. change may change it before it runs.
func start(t testing.TB, dir, text string, change ...func(*Daemon)) *rig {
	t.Helper()
	r := &rig{t: t, dir: dir, log: &bytes.Buffer{}}
	r.write(text)
	cfg, err := config.Load(r.file())
	if err != nil {
		t.Fatal(err)
	}
	log := events.New(slog.New(slog.NewTextHandler(r.log, nil)))
	if r.Daemon, err = New(cfg, log, Options{Version: "test", ConfigPath: r.file()}); err != nil {
		t.Fatal(err)
	}
	for _, f := range change {
		f(r.Daemon)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ready := make(chan struct{})
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx, func() { close(ready) }) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("daemon ended: %v", err)
		}
	})
	t.Cleanup(r.stop)
	select {
	case <-ready:
	case err := <-done:
		done <- nil
		t.Fatal(err)
	}
	return r
}

func (r *rig) file() string { return filepath.Join(r.dir, "hostd.toml") }

func (r *rig) write(text string) {
	r.t.Helper()
	if !strings.Contains(text, "[[source]]") {
		text += "\n[[source]]\nname = \"never\"\ntype = \"file\"\npath = \"DIR/never\"\ncredit = true\n"
	}
	if !strings.Contains(text, "[libvirt]") {
		text += "\n[libvirt]\nfollow = false\n"
	}
	if !strings.Contains(text, "[xen]") {
		text += "\n[xen]\nfollow = false\n"
	}
	head := "control = \"DIR/control.sock\"\nstate = \"DIR/state.json\"\n"
	if err := os.WriteFile(r.file(), []byte(strings.ReplaceAll(head+text, "DIR", r.dir)), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) guest(name string) control.GuestStatus {
	r.t.Helper()
	s := r.Status()
	i := slices.IndexFunc(s.Guests, func(g control.GuestStatus) bool { return g.Name == name })
	if i < 0 {
		r.t.Fatalf("no guest %q in %+v", name, s.Guests)
	}
	return s.Guests[i]
}

func (r *rig) dial(name string) net.Conn {
	r.t.Helper()
	conn, err := net.Dial("unix", filepath.Join(r.dir, name))
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	return conn
}

func (r *rig) spec(name string) control.GuestSpec {
	return control.GuestSpec{Guest: config.Guest{
		Name: name, Rate: 2048, Burst: 8192, Weight: 3,
		Pipes: []config.Pipe{{Kind: "egd", Path: filepath.Join(r.dir, name)}},
	}}
}

func TestGuestsAddedLiveComeBackWithTheirLimits(t *testing.T) {
	dir := t.TempDir()
	r := start(t, dir, "")
	if err := r.AddGuest(r.spec("kept")); err != nil {
		t.Fatal(err)
	}
	passing := r.spec("passing")
	passing.Transient = true
	if err := r.AddGuest(passing); err != nil {
		t.Fatal(err)
	}
	if err := r.AddGuest(r.spec("kept")); !errors.Is(err, control.ErrExists) {
		t.Fatalf("added twice: %v", err)
	}
	weight := 7
	if err := r.SetGuest("kept", control.GuestPatch{Weight: &weight}); err != nil {
		t.Fatal(err)
	}
	r.dial("kept")
	r.stop()

	r = start(t, dir, "")
	if n := len(r.Status().Guests); n != 1 {
		t.Fatalf("%d guests are back, want the one that is kept", n)
	}
	if g := r.guest("kept"); g.Rate != 2048 || g.Burst != 8192 || g.Weight != 7 || g.Origin != control.OriginAPI {
		t.Fatalf("%+v", g)
	}
	r.dial("kept")
	if err := r.RemoveGuest("kept"); err != nil {
		t.Fatal(err)
	}
	if err := r.RemoveGuest("kept"); !errors.Is(err, control.ErrNotFound) {
		t.Fatal(err)
	}
	if _, err := os.Lstat(filepath.Join(dir, "kept")); !errors.Is(err, os.ErrNotExist) {
		t.Fatal("the socket of a removed guest is there still")
	}
	r.stop()
	if n := len(start(t, dir, "").Status().Guests); n != 0 {
		t.Fatalf("a removed guest is back")
	}
}

func TestAGuestThatCannotBeKeptIsNotAdded(t *testing.T) {
	dir := t.TempDir()
	r := start(t, dir, "")
	if err := os.Mkdir(filepath.Join(dir, "state.json"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := r.AddGuest(r.spec("web1")); err == nil || !strings.Contains(err.Error(), "write state") {
		t.Fatalf("%v", err)
	}
	if n := len(r.Status().Guests); n != 0 {
		t.Fatal("it was added")
	}
	if _, err := os.Lstat(filepath.Join(dir, "web1")); !errors.Is(err, os.ErrNotExist) {
		t.Fatal("its socket is there")
	}
}

const reloadable = `
[[class]]
name = "default"
rate = "%s"
[[guest]]
name = "stays"
pipes = ["egd:DIR/stays"]
[[guest]]
name = "%s"
pipes = ["egd:DIR/%[2]s"]
`

func TestReloadChangesOnlyWhatChanged(t *testing.T) {
	r := start(t, t.TempDir(), fmt.Sprintf(reloadable, "1KiB/s", "goes"))
	stays, goes := r.dial("stays"), r.dial("goes")
	weight := 9
	if err := r.SetGuest("stays", control.GuestPatch{Weight: &weight}); err != nil {
		t.Fatal(err)
	}
	r.write(fmt.Sprintf(reloadable, "5KiB/s", "comes"))
	if err := r.Reload(); err != nil {
		t.Fatal(err)
	}
	if _, err := goes.Read(make([]byte, 1)); !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("a guest that is gone from the file: %v", err)
	}
	r.dial("comes")
	if g := r.guest("stays"); g.Rate != 5<<10 || g.Weight != 9 {
		t.Fatalf("the class's new rate and the weight set live: %+v", g)
	}
	_ = stays.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if _, err := stays.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("a guest that did not change was disconnected: %v", err)
	}
	r.write("reservoir = { size = \"128KiB\" }\n" + fmt.Sprintf(reloadable, "5KiB/s", "comes"))
	if err := r.Reload(); err != nil {
		t.Fatal(err)
	}
	if w := strings.Join(r.Status().Warnings, "\n"); !strings.Contains(w, "reservoir takes effect when hostd is restarted") {
		t.Fatalf("warnings:\n%s", w)
	}
}

func TestABadReloadKeepsTheOldConfiguration(t *testing.T) {
	r := start(t, t.TempDir(), fmt.Sprintf(reloadable, "1KiB/s", "other"))
	conn := r.dial("stays")
	r.write("nonsense = 1\n")
	err := r.Reload()
	if err == nil || !strings.Contains(err.Error(), "hostd.toml:3: nonsense") {
		t.Fatalf("%v", err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("disconnected by a bad reload: %v", err)
	}
	if n := len(r.Status().Guests); n != 2 {
		t.Fatalf("%d guests after a bad reload", n)
	}
	if !slices.ContainsFunc(r.Events().Since(0), func(e events.Event) bool {
		return e.Kind == "reload_failed" && e.Level == slog.LevelError
	}) {
		t.Fatal("a bad reload is not in the event log")
	}
}

func TestWithoutASourceItServesAndSaysSo(t *testing.T) {
	r := start(t, t.TempDir(), fmt.Sprintf(reloadable, "1KiB/s", "other"))
	if s := r.Status().Reservoir; s.OriginsUp != 0 || s.Waiting != "0 of 1 origins up: never missing" && s.Waiting != "0 of 1 origins up: never starting" {
		t.Fatalf("%+v", s)
	}
	conn := r.dial("stays")
	if _, err := conn.Write([]byte{2, 64}); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if n, err := conn.Read(make([]byte, 64)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("got %d bytes without a source: %v", n, err)
	}
	if g := r.guest("stays"); !g.Waiting || g.ThrottledSupply <= 0 {
		t.Fatalf("%+v", g)
	}
}

func TestOneGuestsBrokenSocketIsNobodyElsesTrouble(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "other"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r := start(t, dir, fmt.Sprintf(reloadable, "1KiB/s", "other"))
	r.dial("stays")
	if why := r.guest("other").Pipes[0].Error; !strings.Contains(why, "no socket") {
		t.Fatalf("status says %q", why)
	}
}

func TestASecondDaemonIsRefused(t *testing.T) {
	dir := t.TempDir()
	r := start(t, dir, "")
	cfg, err := config.Load(r.file())
	if err != nil {
		t.Fatal(err)
	}
	second, err := New(cfg, events.New(slog.New(slog.DiscardHandler)), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Run(t.Context(), func() { t.Error("it got ready") }); err == nil || !strings.Contains(err.Error(), "another hostd") {
		t.Fatal(err)
	}
}

func TestAStateFileThatCannotBeReadIsPutAside(t *testing.T) {
	for _, text := range []string{"{", `{"version": 99}`} {
		dir := t.TempDir()
		path := filepath.Join(dir, "state.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		r := start(t, dir, fmt.Sprintf(reloadable, "1KiB/s", "other"))
		r.dial("stays")
		if w := strings.Join(r.Status().Warnings, "\n"); !strings.Contains(w, path+".bad") {
			t.Errorf("%s: warnings:\n%s", text, w)
		}
		if aside, err := os.ReadFile(path + ".bad"); string(aside) != text {
			t.Errorf("put aside: %q, %v", aside, err)
		}
		r.stop()
	}
}

// A guest that was added live and is not possible any more is said to be left
// out, harms nobody, and is not forgotten.
func TestAKeptGuestThatIsNotPossibleNow(t *testing.T) {
	for name, text := range map[string]string{
		"the class is gone":     "",
		"the name is taken":     "\n[[class]]\nname = \"gold\"\n[[guest]]\nname = \"kept\"\npipes = [\"egd:DIR/of-the-file\"]\n",
		"the pipe's path taken": "\n[[class]]\nname = \"gold\"\n[[guest]]\nname = \"other\"\npipes = [\"egd:DIR/kept\"]\n",
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			r := start(t, dir, "\n[[class]]\nname = \"gold\"\n")
			spec := r.spec("kept")
			spec.Class = "gold"
			if err := r.AddGuest(spec); err != nil {
				t.Fatal(err)
			}
			r.stop()

			r = start(t, dir, text)
			s := r.Status()
			if len(s.Guests) != strings.Count(text, "[[guest]]") {
				t.Fatalf("guests: %+v", s.Guests)
			}
			if w := strings.Join(s.Warnings, "\n"); !strings.Contains(w, "guest kept") {
				t.Fatalf("warnings:\n%s", w)
			}
			if err := r.AddGuest(r.spec("more")); err != nil { // writes the state file
				t.Fatal(err)
			}
			r.stop()

			r = start(t, dir, "\n[[class]]\nname = \"gold\"\n")
			if g := r.guest("kept"); g.Class != "gold" {
				t.Fatalf("%+v", g)
			}
			r.stop()

			r = start(t, dir, text)
			if err := r.RemoveGuest("kept"); err != nil {
				t.Fatal(err)
			}
			if w := strings.Join(r.Status().Warnings, "\n"); strings.Contains(w, "guest kept") {
				t.Fatalf("removed, but warnings are:\n%s", w)
			}
			if n := len(r.Status().Guests); n != strings.Count(text, "[[guest]]")+1 { // and more
				t.Fatalf("%d guests: one of the configuration was removed with what was left out", n)
			}
		})
	}
}

// A guest that is added in the place of one that was left out replaces it, also
// in the state file.
func TestAddingWhatWasLeftOut(t *testing.T) {
	dir := t.TempDir()
	gold := "\n[[class]]\nname = \"gold\"\n"
	r := start(t, dir, gold)
	spec := r.spec("kept")
	spec.Class = "gold"
	if err := r.AddGuest(spec); err != nil {
		t.Fatal(err)
	}
	r.stop()
	r = start(t, dir, "") // without the class it is left out
	other := r.spec("other")
	other.Pipes = r.spec("kept").Pipes
	if err := r.AddGuest(other); err == nil {
		t.Fatal("a path of a guest that is left out was given to another")
	}
	if err := r.AddGuest(r.spec("kept")); err != nil {
		t.Fatal(err)
	}
	r.stop()
	r = start(t, dir, gold)
	if s := r.Status(); len(s.Guests) != 1 || len(s.Warnings) != 0 {
		t.Fatalf("guests %+v, warnings %q", s.Guests, s.Warnings)
	}
	if g := r.guest("kept"); g.Class != "default" {
		t.Fatalf("%+v", g)
	}
	r.dial("kept")
}

func TestAClassWithOtherSocketsIsRefusedLive(t *testing.T) {
	r := start(t, t.TempDir(), "\n[[class]]\nname = \"shared\"\nsocket_mode = \"0666\"\n")
	if err := r.AddGuest(r.spec("web1")); err != nil {
		t.Fatal(err)
	}
	class := "shared"
	if err := r.SetGuest("web1", control.GuestPatch{Class: &class}); !errors.Is(err, control.ErrInvalid) {
		t.Fatalf("%v", err)
	}
}

func TestNoSupplyIsSaidLoudly(t *testing.T) {
	r := start(t, t.TempDir(), "")
	_, follower := r.Events().Follow(0)
	defer follower.Close()
	for {
		select {
		case e := <-follower.C:
			if e.Kind == "supply_lacking" && e.Level == slog.LevelError {
				return
			}
		case <-time.After(10 * time.Second):
			t.Fatal("nothing is said")
		}
	}
}

func TestReloadWithoutAFileIsSaid(t *testing.T) {
	r := start(t, t.TempDir(), "")
	r.opt.ConfigPath = ""
	if err := r.Reload(); !errors.Is(err, control.ErrInvalid) {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(r.Events().Since(0), func(e events.Event) bool { return e.Kind == "reload_failed" }) {
		t.Fatal("not in the event log")
	}
}

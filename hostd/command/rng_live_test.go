package command

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/lipgloss"

	"headgate/hostd/control"
	"headgate/hostd/meter"
	"headgate/integration/need"
	"headgate/xen/console/consoletest"
)

// screen is a top that has looked twice.
func screen(t *testing.T, width, height int) *top {
	t.Helper()
	m := &top{ctx: t.Context(), style: lookOf(&strings.Builder{}), last: at(0, reading(1)), shown: tallied(at(0, reading(1)), at(0, reading(1))), by: byBytes}
	m.Update(tea.WindowSizeMsg{Width: width, Height: height})
	m.Update(seen{sight: at(1, reading(2))})
	return m
}

func TestScreenFitsTheWindow(t *testing.T) {
	for _, size := range [][2]int{{100, 24}, {80, 24}, {200, 60}, {100, 12}, {40, 10}, {20, 3}, {1, 1}} {
		m := screen(t, size[0], size[1])
		m.err = errors.New("no hostd answers at /run/headgate/control.sock: start it")
		for range 300 {
			m.shown.Users = append(m.shown.Users, m.shown.Users[0])
		}
		lines := strings.Split(m.text(), "\n")
		if len(lines) > size[1] {
			t.Errorf("%v: %d lines", size, len(lines))
		}
		for _, line := range lines {
			if lipgloss.Width(line) > size[0] {
				t.Errorf("%v: %d columns: %q", size, lipgloss.Width(line), line)
			}
		}
		if size[0] >= 80 && !strings.Contains(lines[len(lines)-1], "q quits") {
			t.Errorf("%v: nothing says how to leave: %q", size, lines)
		}
	}
}

func TestScreen(t *testing.T) {
	m := screen(t, 100, 24)
	got := m.text()
	for _, want := range []string{
		"hostd rng top · within 1s · by bytes · since ",
		"hwrng         64 B      1.0    192 B      3  kprobe rng_dev_read\n",
		"not seen: no such function\n",
		" 900  dd               -       urandom    1.0 MiB      256  2.0 MiB  …slice/session-1.scope\n",
		"1234  qemu-system-x86  web1    hwrng         64 B      1.0    192 B  ",
		"e?[2Jvil", "o?dd?", "(others)", "note: getrandom that the vDSO answers is not seen",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
	if strings.Contains(got, "\x1b") {
		t.Errorf("a name steers the terminal:\n%q", got)
	}
}

func TestKeys(t *testing.T) {
	m := screen(t, 100, 24)
	first := func() string { return m.shown.Users[0].Process }
	for _, tc := range []struct{ key, first string }{{"c", "e\x1b[2Jvil"}, {"b", "dd"}, {"c", "e\x1b[2Jvil"}, {"p", "dd"}, {"x", "dd"}} {
		if _, cmd := m.Update(tea.KeyPressMsg{Code: rune(tc.key[0]), Text: tc.key}); cmd != nil || first() != tc.first {
			t.Errorf("after %s: %q", tc.key, first())
		}
	}
	m.Update(tea.KeyPressMsg{Code: 'c', Text: "c"})
	m.Update(seen{sight: at(2, reading(3))})
	if first() != "e\x1b[2Jvil" {
		t.Errorf("the next look is sorted anew: %q", first())
	}
	for _, key := range []tea.KeyPressMsg{{Code: 'q', Text: "q"}, {Code: 'c', Mod: tea.ModCtrl}, {Code: tea.KeyEscape}} {
		if _, cmd := m.Update(key); cmd == nil {
			t.Errorf("%s does not quit", key)
		} else if _, quits := cmd().(tea.QuitMsg); !quits {
			t.Errorf("%s does not quit", key)
		}
	}
}

// A daemon that is away for a while is waited for, with the last that was seen.
func TestDaemonAway(t *testing.T) {
	m := screen(t, 100, 24)
	if _, cmd := m.Update(seen{err: errors.New("no hostd answers")}); cmd == nil {
		t.Error("does not look again")
	}
	if got := m.text(); !strings.Contains(got, "no hostd answers") || !strings.Contains(got, "urandom_read_iter") {
		t.Error(got)
	}
	later := reading(1)
	later.Since = now
	m.Update(seen{sight: at(9, later)})
	if got := m.text(); strings.Contains(got, "no hostd answers") || !strings.Contains(got, "128 KiB") { // 1 MiB in 8 s
		t.Error(got)
	}
}

// TestTopOnATerminal drives the whole command over a pseudo-terminal.
func TestTopOnATerminal(t *testing.T) {
	for _, leave := range []string{"q", "\x03", ""} {
		r := newRig(t)
		countingOn(r)
		master, path := consoletest.Terminal(t)
		slave, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { slave.Close() })
		stty := exec.Command("stty", "rows", "24", "cols", "100")
		if stty.Stdin = slave; stty.Run() != nil {
			need.Unmet(t, "stty, of coreutils, on a pseudo-terminal")
		}
		t.Setenv("TERM", "xterm-256color")
		r.In, r.Out = slave, slave
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		exit := make(chan int, 1)
		go func() { exit <- r.Main(ctx, []string{"rng", "top"}) }()

		shown := until(t, master, "within 1")
		if !strings.Contains(shown, "\x1b[?1049h") { // smcup: the alternate screen
			t.Errorf("no screen of its own: %q", shown)
		}
		for _, want := range []string{"hostd rng top", "kprobe rng_dev_read", "qemu-system-x86", "web1", "o?dd?", vdso[:40], "q quits"} {
			if !strings.Contains(shown, want) {
				t.Errorf("%q is not in %q", want, shown)
			}
		}
		if strings.Contains(shown, "\x1b[2Jvil") {
			t.Errorf("a process's name steers the terminal: %q", shown)
		}
		if leave == "" {
			stop()
		} else if _, err := master.WriteString(leave); err != nil {
			t.Fatal(err)
		}
		until(t, master, "\x1b[?1049l")
		if code := <-exit; code != 0 || r.err.Len() > 0 {
			t.Errorf("%q: exit %d: %s", leave, code, r.err.String())
		}
	}
}

// until reads what is shown until that is.
func until(t *testing.T, master *os.File, what string) string {
	t.Helper()
	if err := master.SetReadDeadline(time.Now().Add(ages)); err != nil {
		t.Fatal(err)
	}
	var shown strings.Builder
	buf := make([]byte, 4096)
	for !strings.Contains(shown.String(), what) {
		n, err := master.Read(buf)
		if err != nil {
			t.Fatalf("%q is not shown: %v, but %q", what, err, shown.String())
		}
		shown.Write(buf[:n])
	}
	return shown.String()
}

// On a terminal too --once prints a table, and so does what asks for a time.
func TestOnceOnATerminal(t *testing.T) {
	r := newRig(t)
	r.fake.Readers = func() (control.RNG, error) { return control.RNG{Meter: meter.Reading{Notes: []string{vdso}}}, nil }
	master, path := consoletest.Terminal(t)
	slave, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer slave.Close()
	r.In, r.Out = slave, slave
	for _, args := range [][]string{{"rng", "top", "--once"}, {"rng", "top", "--for", "10ms"}} {
		if code := r.Main(t.Context(), args); code != 0 {
			t.Errorf("%v: exit %d: %s", args, code, r.err.String())
		}
		if got := until(t, master, "note: "); strings.Contains(got, "\x1b[?1049h") {
			t.Errorf("%v: %q", args, got)
		}
	}
}

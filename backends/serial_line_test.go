package backends

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestSerialEveryByte sends what a terminal would interrupt, stop, end, translate,
// erase or echo.
func TestSerialEveryByte(t *testing.T) {
	path, master := newTTY(t)
	stream, info, err := overSerial(t, Config{Path: path}).Open()
	check(t, err)
	defer stream.Close()
	if info.Noise != Physical || !info.Credited || info.Driver != "terminal" || !strings.HasPrefix(info.Origin, "dev:136:") {
		t.Errorf("%+v", info)
	}
	sent := []byte{0x03, 0x11, 0x13, 0x0d, 0xff, 0x04, 0x0a, 0x1a, 0x7f, 0x00, 0xff, 0xff, 0x00, 0x13}
	for range 4 {
		for b := range 256 {
			sent = append(sent, byte(b))
		}
	}
	must(master.Write(sent))
	got := make([]byte, len(sent))
	_, err = io.ReadFull(stream, got)
	check(t, err)
	if !bytes.Equal(got, sent) {
		t.Errorf("got  % x\nsent % x", got, sent)
	}
	check(t, master.SetReadDeadline(time.Now().Add(20*time.Millisecond)))
	if n, _ := master.Read(make([]byte, 16)); n > 0 {
		t.Errorf("%d bytes were echoed", n)
	}
}

func TestSerialSettings(t *testing.T) {
	for _, speed := range []int{0, 50, 9600, 115200, 250000, 3000000} {
		path, _ := newTTY(t)
		before := settings(t, path)
		stream, info, err := overSerial(t, Config{Path: path, Speed: speed}).Open()
		check(t, err)
		during := settings(t, path)
		want := uint32(speed)
		if speed == 0 {
			want = before.Ospeed
		}
		if during.Ospeed != want || during.Ispeed != want || info.Detail != fmt.Sprintf("%d bits/s", want) {
			t.Errorf("speed %d: %d in, %d out, %q", speed, during.Ispeed, during.Ospeed, info.Detail)
		}
		if during.Lflag&(unix.ICANON|unix.ECHO|unix.ISIG) != 0 || before.Lflag&unix.ICANON == 0 {
			t.Errorf("lflag was %#x and is %#x", before.Lflag, during.Lflag)
		}
		check(t, stream.Close())
		if after := settings(t, path); after != before {
			t.Errorf("speed %d: after Close\n%+v, before the Open\n%+v", speed, after, before)
		}
	}
}

// TestSerialStart has the device see the start command, once each Open, and nothing
// that was queued before come through.
func TestSerialStart(t *testing.T) {
	path, master := newTTY(t)
	mode := settings(t, path)
	mode.Lflag &^= unix.ECHO // which a new terminal does with what comes before the Open
	check(t, unix.IoctlSetTermios(int(other(t, path).Fd()), unix.TCSETS2, &mode))
	s := overSerial(t, Config{Path: path, Start: "cmd0\ncmdO\n"})
	for range 2 {
		must(master.Write(bytes.Repeat([]byte("old"), 100)))
		stream, _, err := s.Open()
		check(t, err)
		p := make([]byte, 64)
		check(t, master.SetReadDeadline(time.Now().Add(5*time.Second)))
		if n, err := io.ReadAtLeast(master, p, 10); string(p[:n]) != "cmd0\ncmdO\n" || err != nil {
			t.Errorf("the device saw %q, %v", p[:n], err)
		}
		must(master.WriteString("new"))
		if n, err := stream.Read(p); string(p[:n]) != "new" || err != nil {
			t.Errorf("read %q, %v", p[:n], err)
		}
		check(t, stream.Close())
	}
}

// TestSerialStartNotTaken has a device that takes nothing any more.
func TestSerialStartNotTaken(t *testing.T) {
	path, _ := newTTY(t)
	f := other(t, path)
	before := settings(t, path)
	check(t, unix.IoctlSetInt(int(f.Fd()), unix.TCXONC, unix.TCOOFF))
	s := overSerial(t, Config{Path: path, Start: "cmdO\n"})
	s.patience = 20 * time.Millisecond
	files := openFiles(t)
	want := "open " + path + ": send the start command: the device does not take it within 20ms"
	if _, _, err := s.Open(); err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	if n := openFiles(t); n > files {
		t.Errorf("%d descriptors are left open", n-files)
	}
	if after := settings(t, path); after != before {
		t.Errorf("after the Open that failed\n%+v, before\n%+v", after, before)
	}
}

func TestSerialOnlyReader(t *testing.T) {
	path, _ := newTTY(t)
	s := overSerial(t, Config{Path: path})
	stream, _, err := s.Open()
	check(t, err)
	_, _, err = overSerial(t, Config{Path: path}).Open()
	if !errors.Is(err, unix.EWOULDBLOCK) || !strings.Contains(err.Error(), "another program has locked it") {
		t.Errorf("a second one: %v", err)
	}
	check(t, stream.Close())

	f := other(t, path)
	s.shared = func(uint64) bool { return false } // as if it were no pseudo-terminal
	stream, _, err = s.Open()
	check(t, err)
	exclusive := func() int { return must(unix.IoctlGetInt(int(f.Fd()), unix.TIOCGEXCL)) }
	if exclusive() != 1 {
		t.Error("it is not exclusive")
	}
	check(t, stream.Close())
	if exclusive() != 0 {
		t.Error("it is exclusive after Close")
	}
	check(t, unix.IoctlSetInt(int(f.Fd()), unix.TIOCEXCL, 0))
	current := func() unix.Termios { return *must(unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS2)) }
	before := current()
	if _, _, err := s.Open(); !errors.Is(err, unix.EBUSY) || !strings.Contains(err.Error(), "another program has it for itself") {
		t.Errorf("one that another has: %v", err)
	}
	if exclusive() != 1 || current() != before {
		t.Error("it was taken from the other")
	}
}

func TestSerialHangUp(t *testing.T) {
	path, master := newTTY(t)
	stream, _, err := overSerial(t, Config{Path: path}).Open()
	check(t, err)
	defer stream.Close()
	must(master.WriteString("last"))
	p := make([]byte, 64)
	if n, err := stream.Read(p); string(p[:n]) != "last" || err != nil {
		t.Errorf("%q, %v", p[:n], err)
	}
	time.AfterFunc(5*time.Millisecond, func() { _ = master.Close() })
	for range 2 {
		want := "read " + path + ": the line was hung up: is the device plugged in?"
		if n, err := stream.Read(p); n != 0 || err == nil || err.Error() != want {
			t.Errorf("%d, %v", n, err)
		}
	}
}

// TestSerialSettingsChanged has another program change what comes through.
func TestSerialSettingsChanged(t *testing.T) {
	path, master := newTTY(t)
	stream, _, err := overSerial(t, Config{Path: path}).Open()
	check(t, err)
	defer stream.Close()
	f := other(t, path)
	mode := settings(t, path)
	mode.Iflag |= unix.ICRNL
	check(t, unix.IoctlSetTermios(int(f.Fd()), unix.TCSETS2, &mode))
	must(master.WriteString("a\rb"))
	p := make([]byte, 16)
	if n, err := stream.Read(p); n != 0 || !errors.Is(err, errLineSet) || !bytes.Equal(p, make([]byte, 16)) {
		t.Errorf("%d, %v: %q", n, err, p)
	}
}

func BenchmarkSerial(b *testing.B) {
	path, master := newTTY(b)
	stream, _, err := overSerial(b, Config{Path: path}).Open()
	check(b, err)
	defer stream.Close()
	go func() {
		for p := noise(4096); ; {
			if _, err := master.Write(p); err != nil {
				return
			}
		}
	}()
	p := make([]byte, 512)
	b.SetBytes(int64(len(p)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := io.ReadFull(stream, p); err != nil {
			b.Fatal(err)
		}
	}
}

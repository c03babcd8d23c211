package backends

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// newTTY returns a terminal as it is when it is new, which is anything but raw, and
// the end of the device that is behind it.
func newTTY(t testing.TB) (path string, master *os.File) {
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	check(t, err)
	t.Cleanup(func() { _ = master.Close() })
	raw, err := master.SyscallConn()
	check(t, err)
	check(t, raw.Control(func(fd uintptr) {
		check(t, unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0))
		path = fmt.Sprintf("/dev/pts/%d", must(unix.IoctlGetInt(int(fd), unix.TIOCGPTN)))
	}))
	return path, master
}

// other opens the terminal as another program would.
func other(t testing.TB, path string) *os.File {
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	check(t, err)
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func settings(t testing.TB, path string) unix.Termios {
	f := other(t, path)
	defer f.Close()
	return *must(unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS2))
}

func overSerial(t testing.TB, c Config) *serialSource {
	c.Type = "serial"
	return build(t, c).(*serialSource)
}

func TestSerialChecks(t *testing.T) {
	for want, c := range map[string]Config{
		"path: no path is given; allowed: the path of a terminal, best one of /dev/serial/by-id":                {},
		"speed: 49 is not possible; allowed: 50 to 12000000 bits per second, or nothing to leave it as it is":   {Path: "x", Speed: 49},
		"speed: -1 is not possible; allowed: 50 to 12000000 bits per second, or nothing to leave it as it is":   {Path: "x", Speed: -1},
		"speed: 12000001 is not possible; allowed: 50 to 12000000 bits per second, or nothing to leave it as i": {Path: "x", Speed: 12000001},
		"start: it has 257 bytes; allowed: up to 256 bytes":                                                     {Path: "x", Start: strings.Repeat("x", 257)},
		"": {Path: "x", Speed: 115200, Start: "cmd0\ncmdO\n"},
	} {
		err := checkSerial(c)
		if (err == nil) != (want == "") || err != nil && !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestSerialRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	check(t, os.WriteFile(file, nil, 0o600))
	for want, path := range map[string]string{
		"open /dev/nowhere: no such file or directory: is the device plugged in?":                                             "/dev/nowhere",
		"open /dev/zero: it is no terminal, which type \"serial\" is for: use type \"file\" (inappropriate ioctl for device)": "/dev/zero",
		"open " + file + ": it is a regular file, not a character device":                                                     file,
	} {
		files := openFiles(t)
		_, _, err := overSerial(t, Config{Path: path}).Open()
		if err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
		if n := openFiles(t); n > files {
			t.Errorf("%s: %d descriptors are left open", path, n-files)
		}
	}
	for err, want := range map[error]string{
		os.ErrPermission: ": add the user to the terminal's group, which is dialout on Debian",
		syscall.EBUSY:    ": another program has it for itself: stop that one",
	} {
		if got := serialAdvice(err); got != want {
			t.Errorf("%v: %q", err, got)
		}
	}
}

func TestSerialDriver(t *testing.T) {
	s := overSerial(t, Config{Path: "x"})
	s.sysfs = t.TempDir()
	dir := filepath.Join(s.sysfs, "dev/char/166:0/device")
	check(t, os.MkdirAll(dir, 0o755))
	check(t, os.Symlink("../../../../bus/usb/drivers/cdc_acm", filepath.Join(dir, "driver")))
	if got := s.driver(unix.Mkdev(166, 0)); got != "cdc_acm" {
		t.Errorf("driver %q", got)
	}
}

// TestSerialUnplugged takes the device away twice, and gives it back under another
// number, as udev's links do.
func TestSerialUnplugged(t *testing.T) {
	link := filepath.Join(t.TempDir(), "trng0")
	s := overSerial(t, Config{Path: link, MinEntropy: 6, Start: "go\n"})
	r := start(t, s, new(bucket), PumpOptions{RetryMin: time.Millisecond, RetryMax: 2 * time.Millisecond})
	defer r.stop()
	eventually(t, "the missing device was not noticed", func() bool { return r.Status().State == Missing })
	var origins, want []string
	for round := range byte(3) {
		path, master := newTTY(t)
		want = append(want, originOf(t, overSerial(t, Config{Path: path})))
		other(t, path) // for a master that nobody is behind does not wait
		check(t, os.Symlink(path, link))
		p := make([]byte, 3)
		check(t, master.SetReadDeadline(time.Now().Add(5*time.Second)))
		_, err := io.ReadFull(master, p)
		check(t, err)
		poured := len(r.bytes())
		eventually(t, "it is not open", func() bool { return r.Status().State == Starting })
		plugged := make(chan struct{})
		go func() { // until it is pulled out
			defer close(plugged)
			for samples := good(64<<10, round); ; {
				if _, err := master.Write(samples[:256]); err != nil {
					return
				}
				samples = append(samples[256:], samples[:256]...)
			}
		}()
		eventually(t, "nothing is poured", func() bool { return len(r.bytes()) >= poured+4*window })
		r.bucket.mu.Lock()
		origins = append(origins, r.origin)
		r.bucket.mu.Unlock()
		check(t, os.Remove(link))
		check(t, master.Close())
		<-plugged
		eventually(t, "the loss was not noticed", func() bool { return r.Status().State == Missing })
	}
	r.wantEvents(t, SourceMissing, StartupPassed, SourceUp, SourceLost, StartupPassed, SourceUp, SourceLost, StartupPassed, SourceUp, SourceLost)
	if !slices.Equal(origins, want) {
		t.Errorf("origins %q, want %q", origins, want)
	}
	if s := r.Status(); s.Startups != 3 || len(s.Error) == 0 {
		t.Errorf("%+v", s)
	}
}

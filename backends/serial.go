package backends

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	leastSpeed = 50       // B50, the least that termios has a name for: include/uapi/asm-generic/termbits.h
	mostSpeed  = 12000000 // of the fastest USB bridges (FT232H)
	maxStart   = 256

	// The numbers of pseudo-terminals: UNIX98_PTY_SLAVE_MAJOR and UNIX98_PTY_MAJOR_COUNT
	// in include/uapi/linux/major.h.
	ptyMajor, ptyMajors = 136, 8
)

// serialSource reads a generator behind a terminal: a serial line, or a USB device that
// looks like one (CDC ACM). What is known of some, from their makers' documents:
//
//   - OneRNG (/dev/ttyACMn) is silent until it is told to run: start = "cmd0\ncmdO\n".
//     cmd0 is avalanche noise whitened by its CRC-16, its default; cmd1 the same
//     without, which is what an assessment wants (OneRNG/firmware, cdc_app.c: the bits
//     of the digit turn off the whitener, turn on the radio and turn off the diode).
//     It sends while RTS is set, which an open does.
//   - TrueRNG, TrueRNGpro (/dev/ttyACMn) send while DTR is set, which an open does, and
//     have no commands: no start, and no speed, which changes nothing. TrueRNGpro
//     chooses its mode by a sequence of speeds (110, 300, 110, mode): leave that to
//     its maker's instructions, once, and keep speed out of here (ubld.it: FAQ;
//     How-To Change TrueRNGpro's Mode).
//   - Araneus Alea is none of these: it has no terminal but a USB protocol of its own,
//     which the kernel's chaoskey driver speaks (drivers/usb/misc/chaoskey.c). Use type
//     hwrng.
//
// ModemManager tries terminals that appear, with commands of its own: keep it away with
// a udev rule that sets ID_MM_DEVICE_IGNORE=1.
type serialSource struct {
	config Config
	sysfs  string
	// patience is how long the device may take to take the start command.
	patience time.Duration
	// shared tells of which terminals, by number, TIOCEXCL has to be kept off.
	shared func(rdev uint64) bool
}

func newSerial(c Config) Source {
	return &serialSource{config: c, sysfs: "/sys", patience: 2 * time.Second, shared: isPTY}
}

func checkSerial(c Config) error {
	switch {
	case c.Path == "":
		return refuse("path", "the path of a terminal, best one of /dev/serial/by-id", "no path is given")
	case c.Speed != 0 && (c.Speed < leastSpeed || c.Speed > mostSpeed):
		return refuse("speed", fmt.Sprintf("%d to %d bits per second, or nothing to leave it as it is", leastSpeed, mostSpeed), "%d is not possible", c.Speed)
	case len(c.Start) > maxStart:
		return refuse("start", fmt.Sprintf("up to %d bytes", maxStart), "it has %d bytes", len(c.Start))
	}
	return nil
}

// isPTY tells whether it is the end of a pseudo-terminal that programs read. One that
// is made exclusive stays so when its reader is killed, until its other end is closed,
// and then the next reader is kept out.
func isPTY(rdev uint64) bool {
	major := unix.Major(rdev)
	return major >= ptyMajor && major < ptyMajor+ptyMajors
}

func (s *serialSource) Open() (io.ReadCloser, Info, error) {
	path := s.config.Path
	mode := os.O_RDONLY
	if s.config.Start != "" {
		mode = os.O_RDWR
	}
	// Not to wait for the carrier of a line, nor to become this process's terminal.
	f, err := os.OpenFile(path, mode|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, Info{}, fmt.Errorf("%w%s", err, serialAdvice(err))
	}
	l := &line{file: f}
	st, err := wantMode(f, fs.ModeDevice|fs.ModeCharDevice)
	if err != nil {
		_ = l.Close()
		return nil, Info{}, err
	}
	info, err := s.take(l, st.Sys().(*syscall.Stat_t).Rdev)
	if err != nil {
		_ = l.Close()
		return nil, Info{}, fmt.Errorf("open %s: %w", path, err)
	}
	return l, s.config.claim(info, 8), nil
}

// take makes the line ours, raw, and running.
func (s *serialSource) take(l *line, rdev uint64) (Info, error) {
	if err := l.reserve(!s.shared(rdev)); err != nil {
		return Info{}, err
	}
	if err := l.makeRaw(s.config.Speed); err != nil {
		return Info{}, err
	}
	if err := l.begin(s.config.Start, s.patience); err != nil {
		return Info{}, err
	}
	return Info{
		Path:   s.config.Path,
		Driver: s.driver(rdev),
		Origin: deviceOrigin(rdev),
		Noise:  Physical,
		Detail: fmt.Sprintf("%d bits/s", l.ours.Ispeed),
	}, nil
}

// driver is the kernel's, where there is one: a pseudo-terminal has none.
func (s *serialSource) driver(rdev uint64) string {
	number := fmt.Sprintf("%d:%d", unix.Major(rdev), unix.Minor(rdev))
	to, err := os.Readlink(filepath.Join(s.sysfs, "dev/char", number, "device/driver"))
	if err != nil {
		return "terminal"
	}
	return filepath.Base(to)
}

// serialAdvice is what to do when the terminal cannot be opened.
func serialAdvice(err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENXIO), errors.Is(err, syscall.ENODEV), errors.Is(err, syscall.EIO):
		return ": is the device plugged in?"
	case errors.Is(err, fs.ErrPermission):
		return ": add the user to the terminal's group, which is dialout on Debian"
	case errors.Is(err, syscall.EBUSY):
		return ": another program has it for itself: stop that one"
	}
	return ""
}

package backends

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// fileSource reads a character device or a FIFO that gives raw samples, or uses
// up a regular file of them. What is behind the path is looked at anew at each
// Open. Symbolic links are followed to devices and FIFOs, as udev makes them, but
// not to a file whose bytes would be destroyed. A terminal must be in raw mode.
// The origin is what the path leads to, by number, so that two names of one device,
// FIFO or file count once, and that of the kernel's generator is its driver.
type fileSource struct {
	config Config
	hwrng  *hwrng // for the one device that the kernel tells more of
	rdev   uint64 // the number of that one
}

// kernelPool is /dev/urandom and /dev/random: one generator, which hostd itself may feed.
var kernelPool = []uint64{unix.Mkdev(1, 9), unix.Mkdev(1, 8)} // MEM_MAJOR: include/uapi/linux/major.h; drivers/char/mem.c

func newFile(c Config) *fileSource {
	return &fileSource{config: c, hwrng: newHWRNG(c), rdev: unix.Mkdev(miscMajor, hwrngMinor)}
}

func checkFile(c Config) error {
	if c.Path == "" {
		return refuse("path", "the path of a character device, a FIFO or a file", "no path is given")
	}
	return nil
}

func (s *fileSource) Open() (io.ReadCloser, Info, error) {
	path := s.config.Path
	st, err := os.Stat(path)
	if err != nil {
		return nil, Info{}, err
	}
	number := *st.Sys().(*syscall.Stat_t)
	origin := fmt.Sprintf("file:%d:%d", number.Dev, number.Ino)
	found := Unknown // what writes there is for the operator to know
	var stream io.ReadCloser
	kind := st.Mode().Type()
	switch {
	case kind == 0 && !s.config.Consume:
		return nil, Info{}, fmt.Errorf("open %s: it is a regular file, whose bytes could be used twice: "+
			"set consume = true to have them destroyed as they are used, or name a device or a FIFO", path)
	case kind != 0 && s.config.Consume:
		return nil, Info{}, fmt.Errorf("open %s: it is a %s: consume = true is for regular files", path, modeName(kind))
	case kind == 0:
		stream, err = openConsumed(path)
	case kind == fs.ModeNamedPipe:
		stream, err = openFIFO(path)
	case kind == fs.ModeDevice|fs.ModeCharDevice && number.Rdev == s.rdev:
		return s.hwrng.Open()
	case kind == fs.ModeDevice|fs.ModeCharDevice:
		origin = deviceOrigin(number.Rdev)
		if slices.Contains(kernelPool, number.Rdev) {
			origin, found = deviceOrigin(kernelPool[0]), Generated
		}
		stream, err = s.hwrng.device.open(path)
	default:
		err = fmt.Errorf("open %s: it is a %s: name a character device, a FIFO, or a regular file with consume = true",
			path, modeName(kind))
	}
	if err != nil {
		return nil, Info{}, err
	}
	return stream, s.config.claim(Info{Path: path, Driver: modeName(kind), Origin: origin, Noise: found}, 8), nil
}

func modeName(m fs.FileMode) string {
	switch m {
	case 0:
		return "regular file"
	case fs.ModeDevice | fs.ModeCharDevice:
		return "character device"
	case fs.ModeDevice:
		return "block device"
	case fs.ModeNamedPipe:
		return "FIFO"
	case fs.ModeDir:
		return "directory"
	case fs.ModeSocket:
		return "socket"
	case fs.ModeSymlink:
		return "symbolic link"
	}
	return "file of unknown type"
}

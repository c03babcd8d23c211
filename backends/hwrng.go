package backends

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
)

const (
	hwrngPath = "/dev/hwrng"                // drivers/char/hw_random/core.c
	hwrngAttr = "/sys/class/misc/hw_random" // Documentation/admin-guide/hw_random.rst
	fullScale = 1024.0                      // quality is in bits per 1024 bits: include/linux/hw_random.h

	miscMajor  = 10  // MISC_MAJOR: include/uapi/linux/major.h
	hwrngMinor = 183 // HWRNG_MINOR: include/linux/miscdevice.h
)

var errDriverChanged = errors.New("the kernel has changed the driver, or the quality that it gives it")

// hwrng reads the kernel's hardware generator device. Which driver is behind it
// is the kernel's choice and may change at any time: driver and claim are found
// anew at each Open, and a stream ends when they are no longer those it began with.
type hwrng struct {
	config Config
	path   string
	attr   string // the folder of rng_current and rng_quality
	device device
}

func newHWRNG(c Config) *hwrng {
	h := &hwrng{config: c, path: c.Path, attr: hwrngAttr}
	if h.path == "" {
		h.path = hwrngPath
	}
	return h
}

func (h *hwrng) Open() (io.ReadCloser, Info, error) {
	w := new(watched)
	info, err := h.open(w)
	if err != nil {
		w.closeAttributes()
		return nil, Info{}, err
	}
	return w, info, nil
}

func (h *hwrng) open(w *watched) (info Info, err error) {
	if w.driver, err = openAttribute(filepath.Join(h.attr, "rng_current")); err != nil {
		return info, err
	}
	if w.quality, err = openAttribute(filepath.Join(h.attr, "rng_quality")); err != nil {
		return info, err
	}
	if w.driver.value == "none" {
		return info, fmt.Errorf("open %s: the kernel has no generator for it (rng_current is none): load the driver of one", h.path)
	}
	if info, err = h.describe(&w.driver, &w.quality); err != nil {
		return info, err
	}
	w.ReadCloser, err = h.device.open(h.path)
	return info, err
}

// describe judges what the kernel says. An unknown driver, and virtio, whose bytes
// come from the host above this one, are not physical sources of this host; they
// may be good ones all the same. So may a TPM, which gives here what it gives as type
// "tpm", but here the kernel credits it, up to its rng_quality.
func (h *hwrng) describe(driver, quality *attribute) (Info, error) {
	info := Info{Path: h.path, Driver: driver.value, Origin: driver.value}
	if driver.value == "" {
		info.Driver, info.Origin = "unknown", "hwrng"
	}
	tpm := strings.HasPrefix(driver.value, "tpm-rng-") // hwrng_name in drivers/char/tpm/tpm-chip.c
	if driver.value != "" && !tpm && !strings.HasPrefix(driver.value, "virtio") {
		info.Noise = Physical
	}
	bits := 8.0
	if h.config.MinEntropy == 0 && quality.file != nil {
		q, err := strconv.ParseUint(quality.value, 10, 16)
		switch {
		case err != nil:
			return info, fmt.Errorf("open %s: the kernel does not say what %s is worth (rng_quality is %q): set min_entropy as assessed",
				h.path, info.Driver, quality.value)
		case q == 0:
			// Since Linux 6.2 a driver that states no quality has 1024 (default_quality in
			// drivers/char/hw_random/core.c), so that 0 is somebody's distrust. Before, it
			// was also that of a driver nobody had judged; credited it was neither.
			return info, fmt.Errorf("open %s: the kernel credits nothing to %s (rng_quality is 0): set min_entropy as assessed",
				h.path, info.Driver)
		}
		bits *= float64(q) / fullScale
	}
	info = h.config.claim(info, bits)
	if tpm {
		info.Noise = cmp.Or(h.config.Noise, Generated)
	}
	return info, nil
}

// watched is a stream that ends when an attribute is no longer what it was at
// Open. They are looked at after each read from the device, about 1 µs each, so
// that nothing read from a new driver is ever returned.
type watched struct {
	io.ReadCloser
	driver, quality attribute
	closed          atomic.Bool
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.ReadCloser.Read(p)
	if err == nil && (w.driver.changed() || w.quality.changed()) {
		clear(p[:n])
		if w.closed.Load() { // which is why they could not be read
			return 0, os.ErrClosed
		}
		return 0, errDriverChanged
	}
	return n, err
}

func (w *watched) Close() error {
	w.closed.Store(true)
	w.closeAttributes()
	return w.ReadCloser.Close()
}

func (w *watched) closeAttributes() {
	w.driver.close()
	w.quality.close()
}

// attribute is a file of sysfs, kept open so that reading it again costs no
// allocation. Where there is none, as there is no rng_quality in old kernels, its
// value is "" and never changes.
type attribute struct {
	file  *os.File
	value string
	text  [64]byte
}

func openAttribute(path string) (attribute, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return attribute{}, nil
	}
	if err != nil {
		return attribute{}, err
	}
	a := attribute{file: f}
	a.value = string(a.read())
	return a, nil
}

func (a *attribute) read() []byte {
	n, _ := a.file.ReadAt(a.text[:], 0) // one that cannot be read is one that has changed
	return bytes.TrimSpace(a.text[:n])
}

func (a *attribute) changed() bool {
	return a.file != nil && string(a.read()) != a.value
}

func (a *attribute) close() {
	if a.file != nil {
		_ = a.file.Close()
	}
}

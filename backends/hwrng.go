package backends

import (
	"bytes"
	"errors"
	"fmt"
	"io"
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
	w := &watched{
		driver:  openAttribute(filepath.Join(h.attr, "rng_current")),
		quality: openAttribute(filepath.Join(h.attr, "rng_quality")),
	}
	if w.driver.value == "none" {
		w.closeAttributes()
		return nil, Info{}, fmt.Errorf("open %s: the kernel has no generator for it (rng_current is none): load the driver of one", h.path)
	}
	var err error
	if w.ReadCloser, err = h.device.open(h.path); err != nil {
		w.closeAttributes()
		return nil, Info{}, err
	}
	return w, h.describe(w.driver.value, w.quality.value), nil
}

// describe judges what the kernel says. An unknown driver, and virtio, whose bytes
// come from the host above this one, are not physical sources of this host; they
// may be good ones all the same. A quality of 0 is one that nobody has estimated.
func (h *hwrng) describe(driver, quality string) Info {
	info := Info{Path: h.path, Driver: driver, Origin: driver}
	if driver == "" {
		info.Driver, info.Origin = "unknown", "hwrng"
	}
	info.Physical = driver != "" && !strings.HasPrefix(driver, "virtio")
	bits := 8.0
	if q, err := strconv.ParseUint(quality, 10, 16); err == nil && q > 0 {
		bits *= float64(q) / fullScale
	}
	return h.config.claim(info, bits)
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
// allocation. Where there is none, its value is "" and never changes.
type attribute struct {
	file  *os.File
	value string
	text  [64]byte
}

func openAttribute(path string) (a attribute) {
	var err error
	if a.file, err = os.Open(path); err != nil {
		a.file = nil
		return a
	}
	a.value = string(a.read())
	return a
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

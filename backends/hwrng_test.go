package backends

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestHWRNGClaim(t *testing.T) {
	for _, c := range []struct {
		driver, quality string
		given, want     float64
		assumed         bool
		origin          string
		noise           Noise
	}{
		{"tpm-rng-0", "1024", 0, 2, true, "tpm-rng-0", Generated},
		{"ath9k", "320", 0, 2, true, "ath9k", Physical}, // 320/1024 of 8 is 2.5
		{"ath9k", "128", 0, 1, true, "ath9k", Physical},
		{"ath9k", "128", 6, 6, false, "ath9k", Physical}, // the operator's word goes first
		{"ath9k", "1", 0, 8.0 / 1024, true, "ath9k", Physical},
		{"ath9k", "0", 6, 6, false, "ath9k", Physical},
		{"ath9k", "nonsense", 6, 6, false, "ath9k", Physical},
		{"virtio_rng.0", "1024", 0, 2, true, "virtio_rng.0", Unknown},
		{"ath9k", "none", 0, 2, true, "ath9k", Physical}, // no such file in old kernels
		{"", "none", 0, 2, true, "hwrng", Unknown},
	} {
		h := testHWRNG(t, "/dev/zero", c.driver, c.quality, c.given)
		if c.quality == "none" {
			check(t, os.Remove(filepath.Join(h.attr, "rng_quality")))
		}
		stream, info, err := h.Open()
		check(t, err)
		check(t, stream.Close())
		if info.MinEntropy != c.want || info.Assumed != c.assumed || info.Origin != c.origin || info.Noise != c.noise || !info.Credited {
			t.Errorf("%+v: %+v", c, info)
		}
	}
}

// TestHWRNGWithoutCredit has the kernel say nothing, or nothing good, of a driver
// that the operator has not assessed either.
func TestHWRNGWithoutCredit(t *testing.T) {
	for quality, want := range map[string]string{
		"0":        "open /dev/zero: the kernel credits nothing to ath9k (rng_quality is 0): set min_entropy as assessed",
		"nonsense": `open /dev/zero: the kernel does not say what ath9k is worth (rng_quality is "nonsense"): set min_entropy as assessed`,
		"":         `open /dev/zero: the kernel does not say what ath9k is worth (rng_quality is ""): set min_entropy as assessed`,
	} {
		files := openFiles(t)
		stream, _, err := testHWRNG(t, "/dev/zero", "ath9k", quality, 0).Open()
		if stream != nil || err == nil || err.Error() != want {
			t.Errorf("quality %q: %v", quality, err)
		}
		if n := openFiles(t); n > files {
			t.Errorf("quality %q: %d descriptors are left open", quality, n-files)
		}
	}
}

func TestHWRNGNoDriver(t *testing.T) {
	_, _, err := testHWRNG(t, "/dev/zero", "none", "0", 0).Open()
	if err == nil || !strings.Contains(err.Error(), "rng_current is none") {
		t.Errorf("got %v", err)
	}
	h := testHWRNG(t, filepath.Join(t.TempDir(), "hwrng"), "x", "1024", 0)
	if _, _, err := h.Open(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no device: %v", err)
	}
	h = testHWRNG(t, mkfifo(t), "x", "1024", 0)
	if _, _, err := h.Open(); err == nil || !strings.Contains(err.Error(), "it is a FIFO, not a character device") {
		t.Errorf("not a device: %v", err)
	}
}

func TestHWRNGDriverChanges(t *testing.T) {
	for _, name := range []string{"rng_current", "rng_quality"} {
		h := testHWRNG(t, "/dev/urandom", "ath9k", "128", 0)
		stream, _, err := h.Open()
		check(t, err)
		p := make([]byte, 64)
		_, err = io.ReadFull(stream, p)
		check(t, err)
		setAttribute(t, h, name, "64")
		if n, err := stream.Read(p); n != 0 || !errors.Is(err, errDriverChanged) {
			t.Errorf("%s: %d, %v", name, n, err)
		}
		if !bytes.Equal(p, make([]byte, len(p))) {
			t.Errorf("%s: bytes of the new driver were left in the buffer", name)
		}
		check(t, stream.Close())
	}
}

// stuckDevice is a file whose Read returns only when it is told to.
type stuckDevice struct {
	begun, release, closed chan struct{}
}

func (s stuckDevice) Read(p []byte) (int, error) {
	close(s.begun)
	<-s.release
	return copy(p, "late"), nil
}

func (s stuckDevice) Close() error {
	close(s.closed)
	return nil
}

func TestDetachedReaderOfStuckDevice(t *testing.T) {
	stuck := stuckDevice{make(chan struct{}), make(chan struct{}), make(chan struct{})}
	d := device{last: newDetached(stuck)}
	go func() {
		<-stuck.begun
		_ = d.last.Close()
	}()
	if n, err := d.last.Read(make([]byte, 16)); n != 0 || !errors.Is(err, os.ErrClosed) {
		t.Fatalf("Read: %d, %v", n, err)
	}
	if _, err := d.open("/dev/zero"); !errors.Is(err, errHeld) {
		t.Errorf("a second reader beside one that is stuck: %v", err)
	}
	close(stuck.release) // the device returns at last
	<-stuck.closed
	if string(d.last.buf[:4]) == "late" {
		t.Error("the late bytes were not zeroed")
	}
	stream, err := d.open("/dev/zero")
	check(t, err)
	check(t, stream.Close())
}

func TestThisHost(t *testing.T) {
	for _, c := range Discover() {
		stream, info, err := build(t, c).Open()
		check(t, err)
		p := make([]byte, 64)
		if _, err := io.ReadFull(stream, p); err != nil {
			t.Errorf("%s: %v", c.Name, err)
		}
		t.Logf("%s: %+v", c.Name, info)
		check(t, stream.Close())
	}
}

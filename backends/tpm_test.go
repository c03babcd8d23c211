package backends

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
	"golang.org/x/sys/unix"
)

// overTPM is a source over f.
func overTPM(t testing.TB, f *fakeTPM) *tpmSource {
	return newTPM(Config{Type: "tpm", Path: f.socket(t)}).(*tpmSource)
}

func TestTPMReadIsOneCommand(t *testing.T) {
	f := newFakeTPM(t)
	stream, info, err := overTPM(t, f).Open()
	check(t, err)
	defer stream.Close()
	if info.Driver != "IFX firmware 7.85" || info.Detail != "SLB9670" {
		t.Errorf("%+v", info)
	}
	for _, c := range []struct{ room, gives, want int }{{512, 64, 64}, {512, 20, 20}, {64, 64, 64}, {5, 64, 5}, {1, 1, 1}} {
		asked := f.asked.Load()
		sample := noise(c.gives)
		f.samples <- sample
		p := make([]byte, c.room)
		n, err := stream.Read(p)
		if n != c.want || err != nil || !bytes.Equal(p[:n], sample[:n]) || f.asked.Load() != asked+1 {
			t.Errorf("%+v: %d, %v, %d commands", c, n, err, f.asked.Load()-asked)
		}
	}
	asked := f.asked.Load()
	if n, err := stream.Read(nil); n != 0 || err != nil || f.asked.Load() != asked {
		t.Errorf("nothing asked for: %d, %v", n, err)
	}
}

// TestTPMErrors has a TPM answer what it should not.
func TestTPMErrors(t *testing.T) {
	for want, answer := range map[string][]byte{
		"TPM_RC_FAILURE: commands not being accepted because of a TPM failure: it has failed its self-test: only a power cycle brings it back": response(tpm2.TPMRCFailure, nil),
		": it is locked after wrong passwords: wait, or tpm2_dictionarylockout --clear-lockout":                                                response(tpm2.TPMRCLockout, nil),
		": let the upgrade of its firmware end":                   response(tpm2.TPMRCUpgrade, nil),
		"unknown format-0 error code":                             response(0x17f, nil),
		"TPM_RC_VALUE":                                            response(tpm2.TPMRCValue|0x1c0, nil), // parameter 1
		"it is a TPM 1.2, and 2.0 is needed":                      {0, 0xc4, 0, 0, 0, 10, 0, 0, 0, 0x1e},
		"what answers is no TPM 2.0: a response is tagged 0x4854": []byte("HT\x00\x00\x00\x10.........."),
		"a response of 10 bytes says that it has 1414541600":      []byte("HTTP1 no  "),
		"the TPM gave no bytes: it is broken":                     response(0, digest(nil)),
		"the TPM gave 65 bytes where 64 were asked for":           response(0, digest(make([]byte, 65))),
		"ran out of data":                                         response(0, []byte{0, 64, 1, 2, 3}),
		"says that it has 9":                                      {0x80, 1, 0, 0, 0, 9, 0, 0, 0, 0},
		"says that it has 4097":                                   {0x80, 1, 0, 0, 0x10, 1, 0, 0, 0, 0},
		"says that it has 10":                                     append(response(0, nil), 0),
	} {
		f := newFakeTPM(t)
		f.answers(func([]byte) []byte { return answer })
		s := overTPM(t, f)
		stream, _, err := s.Open()
		check(t, err)
		p := make([]byte, 512)
		n, err := stream.Read(p)
		if n != 0 || err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "read "+s.path+": ") {
			t.Errorf("want %q: %d, %v", want, n, err)
		}
		if !bytes.Equal(p, make([]byte, 512)) {
			t.Errorf("%q: something is left in the buffer", want)
		}
		check(t, stream.Close())
		f.identity.Store(&answer)
		if _, _, err := s.Open(); err == nil {
			t.Errorf("%q: opened", want)
		}
	}
}

// TestTPMBusy has a TPM say that it cannot begin yet, twice and then for ever.
func TestTPMBusy(t *testing.T) {
	for _, code := range []tpm2.TPMRC{tpm2.TPMRCRetry, tpm2.TPMRCTesting, tpm2.TPMRCYielded} {
		f := newFakeTPM(t)
		s := overTPM(t, f)
		stream, _, err := s.Open()
		check(t, err)
		f.answers(func([]byte) []byte {
			if f.asked.Load() <= 2 {
				return response(code, nil)
			}
			return response(0, digest([]byte{1, 2, 3}))
		})
		if n, err := stream.Read(make([]byte, 8)); n != 3 || err != nil || f.asked.Load() != 3 {
			t.Errorf("%v: %d, %v, %d commands", code, n, err, f.asked.Load())
		}
		s.patience = time.Second
		f.answers(func([]byte) []byte { return response(code, nil) })
		if _, err := stream.Read(make([]byte, 8)); !errors.Is(err, errTPMSilent) || !errors.Is(err, code) {
			t.Errorf("%v for ever: %v", code, err)
		}
		s.patience = time.Hour
		time.AfterFunc(10*time.Millisecond, func() { _ = stream.Close() })
		if _, err := stream.Read(make([]byte, 8)); !errors.Is(err, os.ErrClosed) {
			t.Errorf("%v, closed: %v", code, err)
		}
	}
}

// TestTPMHangs has one that never answers, at the Open and later.
func TestTPMHangs(t *testing.T) {
	for _, path := range []func(*fakeTPM, testing.TB) string{(*fakeTPM).socket, (*fakeTPM).device} {
		f := newFakeTPM(t)
		s := newTPM(Config{Type: "tpm", Path: path(f, t)}).(*tpmSource)
		stream, _, err := s.Open()
		check(t, err)
		s.patience = 100 * time.Millisecond
		want := fmt.Sprintf("read %s: no answer within 100ms: the TPM hangs, or another program holds it", s.path)
		if _, err := stream.Read(make([]byte, 8)); err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
		check(t, stream.Close())
		f.identity.Store(&[]byte{0x80, 1, 0}) // and no more
		want = strings.Replace(want, "read", "open", 1)
		if _, _, err := s.Open(); err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}

func TestTPMOrigin(t *testing.T) {
	f := newFakeTPM(t)
	s := newTPM(Config{Type: "tpm", Path: f.device(t)}).(*tpmSource)
	st, err := os.Stat(s.path)
	check(t, err)
	rdev := st.Sys().(*syscall.Stat_t).Rdev
	number := fmt.Sprintf("%d:%d", unix.Major(rdev), unix.Minor(rdev))
	for name, want := range map[string]string{
		"tpmrm0": "tpm-rng-0", "tpm0": "tpm-rng-0", "tpmrm12": "tpm-rng-12", "tpm3": "tpm-rng-3",
		"tpm": "dev:" + number, "tpmrm": "dev:" + number, "tpm0x": "dev:" + number, "ttyS0": "dev:" + number,
	} {
		s.sysfs = sysfs(t, number, name)
		if got := originOf(t, s); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	s.config.Origin = "chip"
	if got := originOf(t, s); got != "chip" {
		t.Errorf("as configured: %s", got)
	}
}

func TestTPMRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	check(t, os.WriteFile(file, nil, 0o600))
	for want, path := range map[string]string{
		"open /dev/tpmrm97: no such file or directory: there is no TPM: enable it in the firmware's setup, and load its driver (tpm_tis, tpm_crb)": "/dev/tpmrm97",
		"open /nowhere/tpm.sock: no such file or directory: there is no TPM: start the one that listens there, or give another path":               "/nowhere/tpm.sock",
		"open " + file + ": it is a regular file: name the character device of a TPM or the unix socket of one":                                    file,
		"open /dev/zero: its answers cannot be waited for: it is no TPM, or the kernel is older than 4.20":                                         "/dev/zero",
	} {
		files := openFiles(t)
		_, _, err := build(t, Config{Type: "tpm", Path: path}).Open()
		if err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
		if n := openFiles(t); n > files {
			t.Errorf("%s: %d descriptors are left open", path, n-files)
		}
	}
	s := newTPM(Config{}).(*tpmSource)
	s.sysfs, s.path = t.TempDir(), "/dev/tpmrm97"
	version := filepath.Join(s.sysfs, "class/tpm/tpm97")
	check(t, os.MkdirAll(version, 0o755))
	check(t, os.WriteFile(filepath.Join(version, "tpm_version_major"), []byte("1\n"), 0o600))
	if _, _, err := s.Open(); err == nil || !strings.Contains(err.Error(), "it is a TPM 1.2, and 2.0 is needed") {
		t.Errorf("a TPM 1.2: %v", err)
	}
	for cause, want := range map[error]string{
		fs.ErrPermission: "add the user to the group tss",
		syscall.EBUSY:    "use the resource manager, /dev/tpmrm0",
		syscall.EIO:      "the TPM has gone",
	} {
		if err := s.explain("open", &fs.PathError{Op: "open", Path: s.path, Err: cause}); !strings.Contains(err.Error(), want) || !errors.Is(err, cause) {
			t.Errorf("%v: %v", cause, err)
		}
	}
}

// TestTPMDeviceHeld has a device whose close waits for the command in progress, as the
// kernel's does: until it has ended, no second one is begun beside it.
func TestTPMDeviceHeld(t *testing.T) {
	f := newFakeTPM(t)
	s := newTPM(Config{Type: "tpm", Path: f.device(t)}).(*tpmSource)
	stream, _, err := s.Open()
	check(t, err)
	s.patience = 50 * time.Millisecond
	s.last.use.Lock()
	check(t, stream.Close()) // returns at once
	if _, _, err := s.Open(); !errors.Is(err, errHeld) {
		t.Errorf("a second one beside one that is stuck: %v", err)
	}
	s.last.use.Unlock()
	<-s.last.gone
	s.patience = tpmPatience
	stream, _, err = s.Open()
	check(t, err)
	check(t, stream.Close())
}

// FuzzTPM has a TPM answer anything: whatever is returned is what stands in a sound
// response, and never more than was asked for.
func FuzzTPM(f *testing.F) {
	f.Add(response(0, digest([]byte("0123456789"))), uint8(16))
	f.Add(response(0, digest([]byte("0123456789"))), uint8(4))
	f.Add(response(tpm2.TPMRCFailure, nil), uint8(16))
	f.Add(properties(tpm2.TPMSTaggedProperty{Property: tpm2.TPMPTManufacturer, Value: 0x49424d20}), uint8(0))
	f.Add([]byte{0x80, 1, 0, 0, 0, 12, 0, 0, 0, 0, 0xff, 0xff}, uint8(255))
	f.Fuzz(func(t *testing.T, answer []byte, room uint8) {
		s := &tpmSource{patience: time.Second}
		stream := &tpmStream{source: s, carrier: canned(answer), ctx: t.Context()}
		p := make([]byte, room)
		n, err := stream.Read(p)
		sound := len(answer) >= 12 && len(answer) <= maxResponse && int(binary.BigEndian.Uint32(answer[2:])) == len(answer) &&
			binary.BigEndian.Uint16(answer) == 0x8001 && binary.BigEndian.Uint32(answer[6:]) == 0
		switch {
		case n > min(len(p), maxDigest):
			t.Errorf("%d bytes for %d", n, len(p))
		case err == nil && n == 0 && len(p) > 0:
			t.Error("nothing, without an error")
		case err == nil && n > 0 && (!sound || n != int(binary.BigEndian.Uint16(answer[10:])) || !bytes.Equal(p[:n], answer[12:12+n])):
			t.Errorf("%x from %x", p[:n], answer)
		case err != nil && n > 0:
			t.Errorf("%d bytes beside %v", n, err)
		}
		driver, detail, _ := stream.identify(time.Second)
		if len(driver) > 64 || len(detail) > 64 || strings.ContainsFunc(driver+detail, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("%q %q", driver, detail)
		}
	})
}

package backends

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/google/go-tpm/tpm2"
)

// fakeTPM answers commands as a TPM does, with the samples that it is given, and waits
// while there are none.
type fakeTPM struct {
	samples  chan []byte
	quit     chan struct{}
	random   atomic.Pointer[func(command []byte) []byte] // if not nil, answers TPM2_GetRandom instead
	identity atomic.Pointer[[]byte]                      // if not nil, answers TPM2_GetCapability instead
	asked    atomic.Int64                                // commands of TPM2_GetRandom
}

func newFakeTPM(t testing.TB) *fakeTPM {
	f := &fakeTPM{samples: make(chan []byte, 64), quit: make(chan struct{})}
	t.Cleanup(func() { close(f.quit) })
	return f
}

// response builds one, or an error code alone.
func response(code tpm2.TPMRC, parameters []byte) []byte {
	r := binary.BigEndian.AppendUint16(nil, 0x8001) // TPM_ST_NO_SESSIONS
	r = binary.BigEndian.AppendUint32(r, uint32(10+len(parameters)))
	return append(binary.BigEndian.AppendUint32(r, uint32(code)), parameters...)
}

func digest(p []byte) []byte { return append(binary.BigEndian.AppendUint16(nil, uint16(len(p))), p...) }

// properties is the answer to TPM2_GetCapability with these.
func properties(list ...tpm2.TPMSTaggedProperty) []byte {
	p := []byte{0} // no more data
	p = binary.BigEndian.AppendUint32(p, uint32(tpm2.TPMCapTPMProperties))
	p = binary.BigEndian.AppendUint32(p, uint32(len(list)))
	for _, e := range list {
		p = binary.BigEndian.AppendUint32(p, uint32(e.Property))
		p = binary.BigEndian.AppendUint32(p, e.Value)
	}
	return response(0, p)
}

// answer returns nil when there is none.
func (f *fakeTPM) answer(command []byte) []byte {
	switch code := tpm2.TPMCC(binary.BigEndian.Uint32(command[6:])); code {
	case tpm2.TPMCCGetCapability:
		if identity := f.identity.Load(); identity != nil {
			return *identity
		}
		return properties(
			tpm2.TPMSTaggedProperty{Property: tpm2.TPMPTManufacturer, Value: 0x49465800}, // "IFX\0"
			tpm2.TPMSTaggedProperty{Property: tpm2.TPMPTVendorString1, Value: 0x534c4239},
			tpm2.TPMSTaggedProperty{Property: tpm2.TPMPTVendorString2, Value: 0x36373000}, // "SLB9" "670\0"
			tpm2.TPMSTaggedProperty{Property: tpm2.TPMPTFirmwareVersion1, Value: 7<<16 | 85},
		)
	case tpm2.TPMCCGetRandom:
		f.asked.Add(1)
		if random := f.random.Load(); random != nil {
			return (*random)(command)
		}
		select {
		case p := <-f.samples:
			return response(0, digest(p[:min(len(p), int(binary.BigEndian.Uint16(command[10:])))]))
		case <-f.quit:
			return nil
		}
	default:
		return response(tpm2.TPMRCCommandCode, nil)
	}
}

func (f *fakeTPM) answers(random func(command []byte) []byte) { f.random.Store(&random) }

// talk answers one command after the other.
func (f *fakeTPM) talk(rw io.ReadWriter) {
	for {
		command := make([]byte, 10)
		if _, err := io.ReadFull(rw, command); err != nil {
			return
		}
		rest := make([]byte, binary.BigEndian.Uint32(command[2:])-10)
		if _, err := io.ReadFull(rw, rest); err != nil {
			return
		}
		if r := f.answer(append(command, rest...)); r != nil {
			_, _ = rw.Write(r)
		}
	}
}

// socket has it listen.
func (f *fakeTPM) socket(t testing.TB) (path string) {
	path = filepath.Join(shortDir(t), "tpm.sock")
	l, err := net.Listen("unix", path)
	check(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				f.talk(conn)
			}()
		}
	}()
	return path
}

// device has it sit behind a character device.
func (f *fakeTPM) device(t testing.TB) (path string) {
	path, master := pty(t)
	go f.talk(master)
	return path
}

// shortDir is one whose path leaves room for a socket's name.
func shortDir(t testing.TB) string {
	dir, err := os.MkdirTemp("", "tpm")
	check(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// sysfs is one in which that device is called name.
func sysfs(t testing.TB, rdev string, name string) string {
	root := t.TempDir()
	dir := filepath.Join(root, "dev/char")
	check(t, os.MkdirAll(dir, 0o755))
	check(t, os.Symlink(fmt.Sprintf("../../devices/platform/MSFT0101:00/tpm/%s", name), filepath.Join(dir, rdev)))
	return root
}

// canned is a carrier that brings the same answer to every command.
type canned []byte

func (c canned) exchange(_ context.Context, _, response []byte) (int, error) {
	return readResponse(bytes.NewReader(c), response)
}

func (canned) close() {}

package backends

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/google/go-tpm/tpm2"
	"golang.org/x/sys/unix"
)

const (
	tpmPath = "/dev/tpmrm0" // of the kernel's resource manager: drivers/char/tpm/tpmrm-dev.c

	// tpmPatience is how long a command may take. TPM2_GetRandom takes milliseconds,
	// but waits for the command that another user of the TPM has begun: making an RSA
	// key lasts many seconds.
	tpmPatience = 30 * time.Second

	// tpmOpenPatience is that of an Open, which nobody can end: hostd has 5 seconds to
	// stop (TimeoutStopSec in examples/systemd/hostd.service).
	tpmOpenPatience = 3 * time.Second

	// maxDigest is the size of the largest digest of any TPM (SHA-512, SHA3-512: TCG
	// Algorithm Registry), and so the most that one TPM2_GetRandom gives (TPM 2.0
	// Library Part 3 §16.1).
	maxDigest = 64
)

// tpmSource asks a TPM 2.0 for random bytes (TPM2_GetRandom), over the kernel's
// device or the unix socket of one in software. They are the output of the TPM's
// generator: nobody outside can see whether noise comes in there, so they count
// nothing unless the operator has an assessment.
//
// A TPM does one command at a time and has other users. Each Read is one command,
// and between two of them the TPM is free: through the resource manager, and over a
// socket, where each command has a connection of its own, nobody waits for more than
// one of ours. /dev/tpm0, without the manager, is held for as long as a stream is
// open.
type tpmSource struct {
	config   Config
	path     string
	sysfs    string
	patience time.Duration
	last     *tpmDevice // the last one opened
}

func newTPM(c Config) Source {
	s := &tpmSource{config: c, path: c.Path, sysfs: "/sys", patience: tpmPatience}
	if s.path == "" {
		s.path = tpmPath
	}
	return s
}

func (s *tpmSource) Open() (io.ReadCloser, Info, error) {
	stream, origin, err := s.connect()
	if err != nil {
		return nil, Info{}, s.explain("open", err)
	}
	info := Info{Path: s.path, Origin: origin, Noise: Generated}
	info.Driver, info.Detail, err = stream.identify(min(s.patience, tpmOpenPatience))
	if err != nil {
		_ = stream.Close()
		return nil, Info{}, s.explain("open", err)
	}
	return stream, s.config.claim(info, 8), nil
}

// connect sees what is behind the path, and makes a stream over it.
func (s *tpmSource) connect() (*tpmStream, string, error) {
	st, err := os.Stat(s.path)
	if err != nil {
		return nil, "", err
	}
	stream := &tpmStream{source: s}
	origin := ""
	switch kind := st.Mode().Type(); kind {
	case fs.ModeSocket:
		stream.carrier = tpmSocket(s.path)
		origin, err = socketOrigin(s.path)
	case fs.ModeDevice | fs.ModeCharDevice:
		origin = s.deviceOrigin(st.Sys().(*syscall.Stat_t).Rdev)
		stream.carrier, err = s.openDevice()
	default:
		err = fmt.Errorf("it is a %s: name the character device of a TPM or the unix socket of one", modeName(kind))
	}
	if err != nil {
		return nil, "", err
	}
	stream.ctx, stream.cancel = context.WithCancel(context.Background())
	return stream, origin, nil
}

// deviceOrigin is what the kernel calls the same chip's generator as a hwrng
// (hwrng_name in drivers/char/tpm/tpm-chip.c), so that the two count once.
func (s *tpmSource) deviceOrigin(rdev uint64) string {
	link := filepath.Join(s.sysfs, "dev/char", fmt.Sprintf("%d:%d", unix.Major(rdev), unix.Minor(rdev)))
	if to, err := os.Readlink(link); err == nil {
		if number, ok := tpmNumber(filepath.Base(to)); ok {
			return "tpm-rng-" + number
		}
	}
	return deviceOrigin(rdev)
}

// tpmNumber returns N of tpmN and tpmrmN: through the resource manager or not, it is
// one chip.
func tpmNumber(name string) (number string, ok bool) {
	number, ok = strings.CutPrefix(name, "tpm")
	number = strings.TrimPrefix(number, "rm")
	return number, ok && number != "" && strings.Trim(number, "0123456789") == ""
}

// openDevice opens the device anew. Closing one waits in the kernel for the command
// in progress, which is not waited for here; but there is never more than one such.
func (s *tpmSource) openDevice() (*tpmDevice, error) {
	if s.last != nil {
		select {
		case <-s.last.gone:
		case <-time.After(min(s.patience, time.Second)):
			return nil, errHeld
		}
	}
	d, err := openTPMDevice(s.path)
	if err == nil {
		s.last = d
	}
	return d, err
}

// tpmStream is one use of a TPM, which the carrier reaches. It is the transport.TPM
// of package tpm2.
type tpmStream struct {
	source   *tpmSource
	carrier  tpmCarrier
	ctx      context.Context // ends at Close
	cancel   context.CancelFunc
	command  context.Context // of the command in progress
	answered bool            // a response to it has come
	response [maxResponse]byte
	close    sync.Once
}

// Read asks once, for no more than fits p.
func (s *tpmStream) Read(p []byte) (int, error) {
	want := min(len(p), maxDigest)
	if want == 0 {
		return 0, nil
	}
	var got []byte
	err := s.do(s.source.patience, func() error {
		rsp, err := tpm2.GetRandom{BytesRequested: uint16(want)}.Execute(s)
		if err == nil {
			got = rsp.RandomBytes.Buffer
		}
		return err
	})
	clear(s.response[:])
	defer clear(got)
	switch {
	case s.ctx.Err() != nil:
		return 0, os.ErrClosed
	case err != nil:
		return 0, s.source.explain("read", err)
	case len(got) == 0:
		return 0, s.source.explain("read", errTPMNothing)
	case len(got) > want:
		return 0, s.source.explain("read", fmt.Errorf("the TPM gave %d bytes where %d were asked for: it is broken", len(got), want))
	}
	return copy(p, got), nil
}

func (s *tpmStream) Close() error {
	s.close.Do(func() {
		s.cancel()
		s.carrier.close()
	})
	return nil
}

package backends

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"headgate/integration/need"
)

// swtpm is a real TPM in software, of libtpms.
type swtpm struct {
	*os.Process
	path string // of its socket
	wait func()
}

// startSWTPM runs one until the test ends or it is killed.
func startSWTPM(t testing.TB, dir string, args ...string) *swtpm {
	program, err := exec.LookPath("swtpm")
	if err != nil {
		need.Unmet(t, "a TPM in software is needed; as root: apt-get install --no-install-recommends swtpm")
	}
	s := &swtpm{path: filepath.Join(dir, "swtpm.sock")}
	_ = os.Remove(s.path)
	if !slices.Contains(args, "--flags") {
		args = append(args, "--flags", "startup-clear")
	}
	cmd := exec.Command(program, append([]string{"socket", "--tpmstate", "dir=" + dir,
		"--server", "type=unixio,path=" + s.path, "--ctrl", "type=unixio,path=" + s.path + ".ctrl"}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	check(t, cmd.Start())
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	s.Process = cmd.Process
	s.wait = func() { <-ended }
	t.Cleanup(func() {
		_ = s.Kill()
		s.wait()
	})
	eventually(t, "swtpm does not listen", func() bool {
		select {
		case <-ended:
			t.Fatalf("swtpm has ended: %s", said.Bytes())
		default:
		}
		conn, err := net.Dial("unix", s.path)
		if err != nil {
			return false
		}
		return conn.Close() == nil
	})
	return s
}

func TestTPMReal(t *testing.T) {
	real := startSWTPM(t, shortDir(t), "--tpm2")
	stream, info, err := build(t, Config{Type: "tpm", Path: real.path}).Open()
	check(t, err)
	defer stream.Close()
	t.Logf("%+v", info)
	if !strings.HasPrefix(info.Driver, "IBM firmware ") || info.Detail != "SW TPM" || info.Noise != Generated || info.Credited {
		t.Errorf("%+v", info)
	}
	p := make([]byte, 4096)
	if n, err := stream.Read(p); n != maxDigest || err != nil {
		t.Errorf("one read: %d, %v", n, err)
	}
	begun := time.Now()
	const size = 64 << 10
	samples := make([]byte, size)
	_, err = io.ReadFull(stream, samples)
	check(t, err)
	t.Logf("%.0f KiB/s", float64(size)/1024/time.Since(begun).Seconds())
	for b := range 256 {
		if n := bytes.Count(samples, []byte{byte(b)}); n < 128 || n > 384 { // 256 are expected, σ is 16
			t.Errorf("byte %#02x comes %d times", b, n)
		}
	}
}

// TestTPMKilledDuringRead has swtpm stopped with a command in hand, killed, and
// started again.
func TestTPMKilledDuringRead(t *testing.T) {
	dir := shortDir(t)
	real := startSWTPM(t, dir, "--tpm2")
	source := build(t, Config{Type: "tpm", Path: real.path})
	stream, _, err := source.Open()
	check(t, err)
	defer stream.Close()
	check(t, real.Signal(syscall.SIGSTOP))
	done := make(chan error, 1)
	go func() {
		_, err := stream.Read(make([]byte, 64))
		done <- err
	}()
	select {
	case err := <-done:
		t.Fatalf("Read did not wait: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	check(t, real.Kill())
	real.wait()
	if err := <-done; err == nil || !strings.HasSuffix(err.Error(), ": the TPM has gone") {
		t.Errorf("killed during a read: %v", err)
	}
	if _, err := stream.Read(make([]byte, 64)); err == nil || !strings.HasSuffix(err.Error(), ": nobody listens there: start the TPM") {
		t.Errorf("the next read: %v", err)
	}
	if _, _, err := source.Open(); err == nil || !strings.HasSuffix(err.Error(), "connection refused: nobody listens there: start the TPM") {
		t.Errorf("open while it is away: %v", err)
	}
	startSWTPM(t, dir, "--tpm2")
	again, _, err := source.Open()
	check(t, err)
	if n, err := again.Read(make([]byte, 64)); n != 64 || err != nil {
		t.Errorf("after it came back: %d, %v", n, err)
	}
	check(t, again.Close())
}

// TestTPMThroughPump kills swtpm twice under a pump.
func TestTPMThroughPump(t *testing.T) {
	dir := shortDir(t)
	real := startSWTPM(t, dir, "--tpm2")
	source := build(t, Config{Type: "tpm", Path: real.path})
	r := start(t, source, new(bucket), PumpOptions{RetryMin: time.Millisecond, RetryMax: 20 * time.Millisecond})
	defer r.stop()
	for times := range 3 {
		before := len(r.bytes())
		eventually(t, "nothing is poured", func() bool { return len(r.bytes()) > before })
		if s := r.Status(); s.State != Up || s.Startups != uint64(times+1) || s.Credited {
			t.Fatalf("%+v", s)
		}
		if times == 2 {
			break
		}
		check(t, real.Kill())
		real.wait()
		eventually(t, "the loss was not noticed", func() bool { return r.Status().State == Missing })
		real = startSWTPM(t, dir, "--tpm2")
	}
	r.wantEvents(t, StartupPassed, SourceUp, SourceLost, StartupPassed, SourceUp, SourceLost, StartupPassed, SourceUp)
}

// TestTPMLeavesRoom reads without a pause, and lets another user have the TPM, whose
// commands take little longer than without.
func TestTPMLeavesRoom(t *testing.T) {
	real := startSWTPM(t, shortDir(t), "--tpm2")
	other := &tpmStream{source: &tpmSource{}, carrier: tpmSocket(real.path), ctx: t.Context()}
	commands := func() time.Duration {
		begun := time.Now()
		for range 200 {
			check(t, other.do(tpmPatience, func() error {
				_, err := tpm2.GetRandom{BytesRequested: 8}.Execute(transport.TPM(other))
				return err
			}))
		}
		return time.Since(begun)
	}
	alone := commands()
	stream, _, err := build(t, Config{Type: "tpm", Path: real.path}).Open()
	check(t, err)
	ended := make(chan int)
	go func() {
		n := 0
		for p := make([]byte, 512); ; n++ {
			if _, err := stream.Read(p); errors.Is(err, os.ErrClosed) {
				break
			} else if err != nil {
				t.Error(err)
				break
			}
		}
		ended <- n
	}()
	beside := commands()
	check(t, stream.Close())
	t.Logf("200 commands took %v alone and %v beside %d reads", alone, beside, <-ended)
	if beside > 20*alone+time.Second {
		t.Errorf("200 commands took %v alone, but %v beside the source", alone, beside)
	}
}

func TestTPMRealRefused(t *testing.T) {
	for want, args := range map[string][]string{
		"it is a TPM 1.2, and 2.0 is needed":                                         {},
		"nobody has started it: firmware does, and swtpm with --flags startup-clear": {"--tpm2", "--flags", "not-need-init"},
	} {
		real := startSWTPM(t, shortDir(t), args...)
		_, _, err := build(t, Config{Type: "tpm", Path: real.path}).Open()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", args, err)
		}
		t.Log(err)
	}
}

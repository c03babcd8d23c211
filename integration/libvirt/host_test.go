//go:build linux

package libvirt

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"headgate/hostd/control"
	"headgate/integration/load"
	"headgate/integration/rig"
)

// ample is a supply that is more than what the guests here want, and short one
// that is less, in conditioned bytes a second.
const (
	ample = 50_000
	short = 2_000
)

// claim is what is claimed for the noise, in bits a byte: a window of 512 samples
// makes seven blocks then, all at once, which is the hardest to share out by weight.
const claim = 8.0

// Folders and files as they are on a host: inside rig.Isolate they are ours.
const (
	run    = "/run/headgate"
	guests = run + "/guests"
	hooks  = "/etc/libvirt/hooks"
)

// crowdSize is the number of greedy EGD clients that a test can let loose.
const crowdSize = 100

// classes are those of the host under test. Only the operator can give away what
// is not selectable.
const classes = `
[libvirt]
follow = true

[[class]]
name = "default"
rate = "1KiB/s"
burst = "4KiB"

[[class]]
name = "gold"
rate = "unlimited"
weight = 4
selectable = true

[[class]]
name = "silver"
rate = "4KiB/s"
burst = "4KiB"
weight = 2
selectable = true

[[class]]
name = "operator"
rate = "unlimited"
weight = 100

[[class]]
name = "crowd"
rate = "unlimited"
`

// host is a host with libvirtd and hostd on it, which all tests share.
type host struct {
	libvirtd *rig.Libvirtd
	hostd    *rig.Daemon
	binary   string
	image    *rig.Image
	noise    *load.Noise
	seen     *rig.Blocks // everything that any guest was given
	stop     context.CancelFunc
}

var (
	shared *host
	noHost error // why it could not be started
)

// theHost starts the host, once, and ends the test where it cannot be.
func theHost(t *testing.T) *host {
	t.Helper()
	rig.NeedLibvirt(t)
	if noHost != nil {
		t.Fatal("the host could not be started: ", noHost)
	}
	if shared == nil {
		ctx, stop := context.WithCancel(context.Background())
		h := &host{seen: rig.NewBlocks(), stop: stop}
		if noHost = h.start(ctx); noHost != nil {
			h.close()
			t.Fatal(noHost)
		}
		shared = h
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the end of hostd's log:\n%s\nthe end of libvirtd's log:\n%s",
				rig.Tail(shared.hostd.Log, 40), rig.Tail(shared.libvirtd.Log, 20))
		}
	})
	return shared
}

func (h *host) start(ctx context.Context) error {
	programs, err := rig.BuildPrograms(ctx, rig.Private)
	if err != nil {
		return err
	}
	h.binary = programs.Hostd
	image, err := rig.NewImage(ctx, rig.Private, map[string]string{"guestd": programs.Guestd})
	if err != nil {
		return err
	}
	if h.image, err = image.Copy(rig.Private); err != nil {
		return err
	}
	if h.libvirtd, err = rig.StartLibvirtd(ctx); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(run, "crowd"), 0o755); err != nil {
		return err
	}
	if h.noise, err = load.StartNoise(ctx, filepath.Join(run, "noise"), raw(ample)); err != nil {
		return err
	}
	var text strings.Builder
	text.WriteString(h.noise.Claim(claim) + classes)
	for i := range crowdSize {
		fmt.Fprintf(&text, "[[guest]]\nname = \"crowd%d\"\nclass = \"crowd\"\npipes = [\"egd:%s\"]\n", i, crowdSocket(i))
	}
	if h.hostd, err = rig.NewDaemon(run, h.binary, text.String()); err != nil {
		return err
	}
	h.hostd.Limit = time.Hour // the test has a limit of its own
	return h.hostd.Start(ctx)
}

func (h *host) close() {
	if h.hostd != nil {
		h.hostd.Close()
	}
	if h.libvirtd != nil {
		h.libvirtd.Close()
	}
	if h.noise != nil {
		h.noise.Close()
	}
	h.stop()
}

// hostdSays runs hostd's command line and returns what it printed. How it ends is
// the error.
func (h *host) hostdSays(ctx context.Context, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, h.binary, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("hostd %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return stdout.String(), nil
}

// do runs hostd's command line, which has to succeed.
func (h *host) do(ctx context.Context, t *testing.T, args ...string) string {
	t.Helper()
	said, err := h.hostdSays(ctx, args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("hostd %s:\n%s", strings.Join(args, " "), strings.TrimRight(said, "\n"))
	return said
}

// hooked makes sure that libvirtd runs the hook.
func (h *host) hooked(ctx context.Context, t *testing.T) {
	t.Helper()
	if _, err := os.Stat(hookScript); err == nil {
		return
	}
	h.do(ctx, t, "libvirt", "install-hook")
	h.restartLibvirtd(ctx, t)
}

const hookScript = hooks + "/qemu.d/headgate"

func (h *host) restartLibvirtd(ctx context.Context, t *testing.T) {
	t.Helper()
	if err := h.libvirtd.Stop(); err != nil {
		t.Fatal(err)
	}
	// Not the test's own context: libvirtd is shared.
	if err := h.libvirtd.Start(context.WithoutCancel(ctx)); err != nil {
		t.Fatal(err)
	}
}

// startHostd starts hostd after it was ended.
func (h *host) startHostd(ctx context.Context, t *testing.T) {
	t.Helper()
	if err := h.hostd.Start(context.WithoutCancel(ctx)); err != nil {
		t.Fatal(err)
	}
}

func crowdSocket(i int) string { return filepath.Join(run, "crowd", fmt.Sprint(i)) }

func guestSocket(guest string) string { return filepath.Join(guests, guest+".sock") }

func (h *host) status(ctx context.Context, t *testing.T) control.Status {
	t.Helper()
	s, err := h.hostd.Status(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

//go:build linux

package rig

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"headgate/integration/rig/job"
	"headgate/xen/console"
)

const (
	xlPatience   = time.Minute      // a PVH domain is saved in 6 s on a quiet machine
	domUPatience = 45 * time.Second // a domU boots in 6 s on a quiet machine
)

// DomU is a guest of the Xen in whose dom0 the test runs. Its init is reached
// over its console, and goes on through save and restore.
type DomU struct {
	*Init
	UUID string
	Log  string // the file that has the guest's console

	// Of the start or the restore that was last: when xl was called, when the domain
	// began to run (right before xl unpause, and after), and when its init answered.
	Called, Unpausing, Unpaused, Answered time.Time

	config string // file
	hello  *answers
	domid  int
}

// CreateDomU starts a domU that ends with the test, and returns when its init
// answers. A failed test quotes its console.
func CreateDomU(t testing.TB, c DomUConfig) *DomU {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	d, err := NewDomU(Dir(t), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		d.Close()
		if t.Failed() {
			t.Logf("the end of the console of %s:\n%s", c.Name, Tail(d.Log, 10))
		}
	})
	if err := d.Create(ctx); err != nil {
		t.Fatal(err)
	}
	return d
}

// NewDomU writes a domU's configuration into dir. It does not run yet.
func NewDomU(dir string, c DomUConfig) (*DomU, error) {
	d := &DomU{
		Init: &Init{Name: c.Name, link: newLastingLink()},
		UUID: newUUID(), Log: filepath.Join(consoleLogs, "guest-"+c.Name+".log"),
		config: filepath.Join(dir, c.Name+".cfg"),
	}
	text, err := c.text(d.UUID)
	if err != nil {
		return nil, err
	}
	return d, os.WriteFile(d.config, []byte(text), 0o644)
}

// newUUID is a random one (RFC 9562, version 4).
func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// ID is the domain's present number.
func (d *DomU) ID() int { return d.domid }

// errSilent is that of a domain whose init said nothing.
var errSilent = errors.New("its init did not answer")

// Create makes the domain and waits for its init. A PVH kernel whose processor is
// emulated in an emulated one stands still, or is taken down by a triple fault at an
// address of Xen's own, now and then, before a program runs: such a one is made again,
// at most twice, and that is said.
func (d *DomU) Create(ctx context.Context) error {
	for try := 1; ; try++ {
		err := d.create(ctx)
		if !errors.Is(err, errSilent) || ctx.Err() != nil || try == 3 {
			return err
		}
		fmt.Println("rig: once more:", err)
		_ = d.Destroy(ctx) // it may have gone by itself
	}
}

func (d *DomU) create(ctx context.Context) error {
	d.link.forget(0)
	d.hello = d.link.register(0)
	d.Called = time.Now()
	if _, err := XL(ctx, "create", "-q", "-p", d.config); err != nil {
		return fmt.Errorf("create %s: %w", d.Name, err)
	}
	if err := d.run(ctx); err != nil {
		return fmt.Errorf("start %s: %w", d.Name, err)
	}
	ctx, cancel := context.WithTimeout(ctx, domUPatience)
	defer cancel()
	if _, err := d.link.last(ctx, d.hello); err != nil {
		return fmt.Errorf("start %s: %w: %w; the console:\n%s", d.Name, errSilent, err, Tail(d.Log, 20))
	}
	d.Answered = time.Now()
	return nil
}

// run lets a domain that xl made begin, with its console in our hands before.
func (d *DomU) run(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, xlPatience)
	defer cancel()
	text, err := XL(ctx, "domid", d.Name)
	if err != nil {
		return err
	}
	if d.domid, err = strconv.Atoi(strings.TrimSpace(text)); err != nil {
		return fmt.Errorf("xl domid: %w", err)
	}
	path, err := d.terminal(ctx)
	if err != nil {
		return err
	}
	terminal, err := console.OpenRaw(path)
	if err != nil {
		return err
	}
	d.link.attach(terminal, func() {})
	d.Unpausing = time.Now()
	if _, err := XL(ctx, "unpause", strconv.Itoa(d.domid)); err != nil {
		return err
	}
	d.Unpaused = time.Now()
	return nil
}

// terminal waits for xenconsoled to say which terminal the console is.
func (d *DomU) terminal(ctx context.Context) (string, error) {
	for {
		out, err := exec.CommandContext(ctx, "xenstore-read", fmt.Sprintf("/local/domain/%d/console/tty", d.domid)).Output()
		if path := strings.TrimSpace(string(out)); err == nil && path != "" {
			return path, nil
		}
		select {
		case <-time.After(lookEvery):
		case <-ctx.Done():
			return "", fmt.Errorf("xenconsoled gave the console of %s no terminal: %w", d.Name, ctx.Err())
		}
	}
}

// Save writes the running domain into a file and ends it.
func (d *DomU) Save(ctx context.Context, file string) error {
	_, err := XL(ctx, "save", strconv.Itoa(d.domid), file)
	return err
}

// Restore goes on from a file of Save's, as a new domain. It returns when the init
// answers.
func (d *DomU) Restore(ctx context.Context, file string) error {
	d.Called = time.Now()
	if _, err := XL(ctx, "restore", "-p", file); err != nil {
		return fmt.Errorf("restore %s: %w", d.Name, err)
	}
	if err := d.run(ctx); err != nil {
		return fmt.Errorf("restore %s: %w", d.Name, err)
	}
	ctx, cancel := context.WithTimeout(ctx, domUPatience)
	defer cancel()
	if _, err := d.ask(ctx, job.Command{Do: job.Heartbeat}); err != nil {
		return err
	}
	d.Answered = time.Now()
	return nil
}

// Destroy ends the domain at once.
func (d *DomU) Destroy(ctx context.Context) error {
	_, err := XL(ctx, "destroy", strconv.Itoa(d.domid))
	return err
}

// Close ends the domain if it is there, and the link to it.
func (d *DomU) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), xlPatience)
	defer cancel()
	_, _ = XL(ctx, "destroy", d.Name)
	d.link.close()
}

// XL runs xl and returns what it says.
func XL(ctx context.Context, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, xlPatience)
	defer cancel()
	// Files, not pipes: the process that xl leaves to watch a domain keeps them open.
	out, err := os.CreateTemp("", "xl")
	if err != nil {
		return "", err
	}
	defer os.Remove(out.Name())
	defer out.Close()
	cmd := exec.CommandContext(ctx, "xl", args...)
	cmd.Stdout, cmd.Stderr = out, out
	err = cmd.Run()
	text, readErr := os.ReadFile(out.Name())
	if err = errors.Join(err, readErr); err != nil {
		return string(text), fmt.Errorf("xl %s: %w\n%s", strings.Join(args, " "), err, text)
	}
	return string(text), nil
}

package examples

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"headgate/integration/rig"
	"headgate/kvm/libvirt"
)

const vhostSocket = "/run/headgate/guests/web1.vhost/sock"

// The domain has the device that hostd would give it, in hostd's own words.
func TestVhostUserDomain(t *testing.T) {
	text := read(t, "kvm/domain.xml")
	d, err := libvirt.ParseDomain([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if want := (libvirt.Vhost{Path: vhostSocket, Server: true, Wait: true}); d.Name != "web1" || !slices.Equal(d.Vhosts, []libvirt.Vhost{want}) || len(d.RNGs) > 0 {
		t.Errorf("%+v", d)
	}
	cmd := exec.Command(hostd, "libvirt", "xml", "web1", "--vhost-user", "--control", "/nonexistent", "--libvirt", "/nonexistent")
	var notes bytes.Buffer // that neither is there
	cmd.Stderr = &notes
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, notes.String())
	}
	pieces := 0
	for piece := range strings.SplitSeq(string(out), "<!-- ") {
		_, piece, _ = strings.Cut(piece, "-->\n")
		piece = "  " + strings.ReplaceAll(strings.TrimSpace(piece), "\n", "\n  ") + "\n"
		if piece != "  \n" {
			pieces++
		}
		if !strings.Contains(text, strings.TrimSuffix(piece, "  \n")) {
			t.Errorf("it lacks\n%s", piece)
		}
	}
	if pieces != 2 {
		t.Errorf("%d pieces in\n%s", pieces, out)
	}
}

// QEMU starts as the script has it, with hostd as its configuration has it.
func TestVhostUserScript(t *testing.T) {
	rig.Tool(t, "qemu-system-x86_64", "qemu-system-x86")
	dir, err := os.MkdirTemp("", "hg") // t.TempDir has names that are too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	here := func(path string) string {
		text := strings.ReplaceAll(read(t, path), vhostSocket, filepath.Join(dir, "web1.vhost/sock"))
		return strings.ReplaceAll(text, "1G", "64M")
	}
	script := filepath.Join(dir, "vhost-user")
	if err := os.WriteFile(script, []byte(here("kvm/vhost-user")), 0o755); err != nil {
		t.Fatal(err)
	}
	daemon := rig.Hostd(t, hostd, dir, rig.Sound+here("kvm/hostd.toml"))
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, script, "-S", "-nodefaults", "-display", "none")
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
		if t.Failed() {
			t.Logf("QEMU said\n%s", said.String())
		}
	}()
	for {
		s, err := daemon.Status(ctx)
		if err != nil {
			t.Fatal(err)
		}
		g, _ := rig.GuestOf(s, "web1")
		if len(g.Pipes) == 1 && g.Pipes[0].Kind == "vhost-user" && g.Pipes[0].Connected {
			return
		}
		rig.Pause(ctx, t, 20*time.Millisecond)
	}
}

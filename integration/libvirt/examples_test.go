//go:build linux

package libvirt

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"headgate/hostd/control"
	"headgate/integration/rig"
)

// TestExamples defines and starts the domain of examples/libvirt as it stands, but
// for what this machine has not: KVM, a network, an image. Its guest reads
// /dev/hwrng, its guestd is fed through the port, and the policy beside it is
// taken over while it runs. The hook beside it is the one that libvirtd runs here.
func TestExamples(t *testing.T) {
	h := theHost(t)
	ctx := rig.Within(t, 2*time.Minute)
	h.hooked(ctx, t)
	hook, err := os.ReadFile(hookScript)
	if err != nil {
		t.Fatal(err)
	}
	if want := change(t, example(t, "hooks/qemu.d/headgate"), "/usr/local/sbin/hostd", h.binary); string(hook) != want {
		t.Errorf("install-hook wrote\n%s\nthe example is\n%s", hook, want)
	}

	c := rig.DomainConfig{Name: "web1", UUID: "a956bb3c-4652-4b95-a7f3-30e85b7cf76e", Image: h.image}
	text := example(t, "domain.xml")
	text = change(t, text, "type='kvm'", "type='qemu'")
	text = change(t, text, "host-passthrough", "maximum")
	text = change(t, text, regexp.MustCompile(`(?s)<interface .*</interface>`).FindString(text), "")
	text = change(t, text, "</name>", "</name><uuid>"+c.UUID+"</uuid>")
	text = change(t, text, "<memory unit='MiB'>1024<", "<memory unit='MiB'>256<")
	text = change(t, text, "</os>", c.Boot()+"</os>")
	c.Definition = change(t, text, "</devices>", c.Port()+"</devices>")
	if err := os.MkdirAll("/var/lib/libvirt/images", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := rig.NewDisk("/var/lib/libvirt/images/web1.qcow2"); err != nil {
		t.Fatal(err)
	}
	d := rig.DefineDomain(t, c)
	boot(ctx, t, d)
	h.firstBytes(ctx, t, d)
	exit, err := d.Run(ctx, 20*time.Second, "guestd", "seed", "--timeout", "5s")
	if err != nil || exit.Code != 0 {
		t.Errorf("guestd seed: %+v, %v", exit, err)
	}
	const rate, weight = 4 << 10, 2
	h.hostd.AwaitGuest(ctx, t, "web1", "both its pipes are used, as its policy says", func(g control.GuestStatus) bool {
		return len(g.Pipes) == 2 && g.Pipes[0].Connected && g.Pipes[1].Connected && g.LastReport != nil &&
			g.Class == "gold" && g.Rate == rate && g.Weight == weight && told(g.Domain, "")
	})

	setPolicy(ctx, t, d, `<policy class="silver"/>`)
	h.hostd.AwaitGuest(ctx, t, "web1", "its policy is another", func(g control.GuestStatus) bool { return g.Class == "silver" })
	begun := time.Now()
	setPolicy(ctx, t, d, example(t, "policy.xml"))
	h.hostd.AwaitGuest(ctx, t, "web1", "its policy is that of the example", func(g control.GuestStatus) bool {
		return g.Class == "gold" && g.Rate == rate && g.Weight == weight && told(g.Domain, "")
	})
	t.Logf("hostd took the policy over %s after virsh was called", time.Since(begun).Round(time.Millisecond))
	h.destroy(ctx, t, d, "web1")
	h.only(ctx, t)
}

func example(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "examples", "libvirt", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// change replaces what is there exactly once.
func change(t *testing.T, text, from, to string) string {
	t.Helper()
	if from == "" || strings.Count(text, from) != 1 {
		t.Fatalf("%q is there %d times in\n%s", from, strings.Count(text, from), text)
	}
	return strings.Replace(text, from, to, 1)
}

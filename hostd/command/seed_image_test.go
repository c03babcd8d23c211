package command

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"headgate/hostd/control"
)

const image = "etc/machine-id=0123456789abcdef0123456789abcdef\netc/ssh/ssh_host_rsa_key=x\netc/ssh/ssh_host_ed25519_key=x\nvar/lib/urandom/random-seed=x"

func makeImage(t *testing.T, text string) string {
	t.Helper()
	root := t.TempDir()
	for line := range strings.Lines(text) {
		path, content, _ := strings.Cut(strings.TrimSpace(line), "=")
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestSeedIntoAnImage(t *testing.T) {
	r := newRig(t)
	root := makeImage(t, image)
	code, out, errs := r.run(t, "seed", "--for", "web1", "--root", root)
	path := filepath.Join(root, "var/lib/systemd/random-seed")
	if code != 0 || !strings.HasPrefix(out, path+": a seed of 512 bytes (") {
		t.Fatalf("exit %d: %s%s", code, out, errs)
	}
	golden(t, "seed_root", strings.ReplaceAll(errs, root, "/mnt/web1"))
	seed, mode := fileOf(t, path)
	if len(seed) != 512 || mode != 0o600 || r.fake.Seeds[0] != (control.SeedRequest{For: "web1", As: "root"}) {
		t.Errorf("%d bytes, mode %v, %v", len(seed), mode, r.fake.Seeds)
	}
	// An image that has booted has one, which it would share with its clones.
	code, _, errs = r.run(t, "seed", "--for", "web1", "--root", root)
	if code != 1 || !strings.Contains(errs, "random-seed exists, and every clone of the image has it: replace it with --force") {
		t.Errorf("a second time: exit %d: %s", code, errs)
	}
	code, _, errs = r.run(t, "seed", "--for", "web2", "--root", root, "--force")
	if again, _ := fileOf(t, path); code != 0 || bytes.Equal(again, seed) || strings.Contains(errs, "/var/lib/systemd/random-seed") {
		t.Errorf("by force: exit %d: %s", code, errs)
	}
	only(t, filepath.Dir(path), "random-seed")

	clean := makeImage(t, "etc/os-release=x")
	if code, _, errs := r.run(t, "seed", "--for", "web3", "--root", clean); code != 0 || errs != "" {
		t.Errorf("an image that shares nothing: exit %d: %s", code, errs)
	}
}

// TestNoLinkLeadsOutOfAnImage: somebody else may have made the image, and root writes
// into it.
func TestNoLinkLeadsOutOfAnImage(t *testing.T) {
	r := newRig(t)
	for name, link := range map[string]struct{ at, to string }{
		"absolute folder": {"var/lib/systemd", "OUT"},
		"relative folder": {"var/lib/systemd", "../../../../../../../../../../../../..OUT"},
		"absolute parent": {"var/lib", "OUT"},
		"absolute var":    {"var", "OUT"},
		"the file":        {"var/lib/systemd/random-seed", "OUT/random-seed"},
		"a file there is": {"var/lib/systemd/random-seed", "OUT/there"},
		"the new file":    {"var/lib/systemd/random-seed.new", "OUT/random-seed"},
	} {
		out := t.TempDir()
		if err := os.WriteFile(filepath.Join(out, "there"), []byte("mine"), 0o600); err != nil {
			t.Fatal(err)
		}
		root := makeImage(t, "etc/os-release=x")
		at := filepath.Join(root, link.at)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(strings.ReplaceAll(link.to, "OUT", out), at); err != nil {
			t.Fatal(err)
		}
		force := "--force=true"
		if name == "the new file" {
			if err := os.WriteFile(filepath.Join(filepath.Dir(at), "random-seed"), []byte("old"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		code, _, errs := r.run(t, "seed", "--for", "web1", "--root", root, force)
		if code != 1 || strings.Count(errs, "\n") != 1 {
			t.Errorf("%s: exit %d: %s", name, code, errs)
		}
		only(t, out, "there")
		if mine, _ := fileOf(t, filepath.Join(out, "there")); string(mine) != "mine" {
			t.Errorf("%s: what is outside was written to", name)
		}
	}
	if n := len(r.fake.Seeds); n != 0 {
		t.Errorf("%d seeds were drawn for nothing", n)
	}
	inside := makeImage(t, "etc/os-release=x\ndata/keep=x") // one that stays inside is followed
	if err := os.MkdirAll(filepath.Join(inside, "var/lib"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../../data", filepath.Join(inside, "var/lib/systemd")); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := r.run(t, "seed", "--for", "web1", "--root", inside); code != 0 {
		t.Errorf("a link inside: exit %d: %s", code, errs)
	}
	only(t, filepath.Join(inside, "data"), "keep", "random-seed")
}

//go:build linux

package check

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"headgate/integration/need"
)

// Links are followed as the image's own system would: none leads out of it, and
// none hides a key behind an absolute path.
func TestLinks(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  string // path of the one fault, empty: none
	}{
		"an absolute link to a folder":       {map[string]string{"etc/ssh": "-> /persist/ssh", "persist/ssh/ssh_host_rsa_key": "key"}, "/etc/ssh/ssh_host_rsa_key"},
		"a relative link to a file":          {map[string]string{"etc/machine-id": "-> ../persist/id", "persist/id": "0123"}, "/etc/machine-id"},
		"a link over the top":                {map[string]string{"etc/machine-id": "-> ../../../../../../../../persist/id", "persist/id": "0123"}, "/etc/machine-id"},
		"a link out of the image":            {map[string]string{"etc/ssh": "-> ../../outside"}, ""},
		"an absolute link out of the image":  {map[string]string{"etc/ssh": "-> OUTSIDE"}, ""},
		"a link to nothing":                  {map[string]string{"etc/machine-id": "-> /nowhere"}, ""},
		"a link to itself":                   {map[string]string{"etc/machine-id": "-> machine-id"}, "/etc/machine-id"},
		"a link to the root":                 {map[string]string{"etc/machine-id": "-> /"}, ""},
		"two links to each other":            {map[string]string{"etc/ssh": "-> /b", "b": "-> /etc/ssh"}, "/etc/ssh/ssh_host_*_key"},
		"a file where a folder should be":    {map[string]string{"etc/ssh": "x"}, ""},
		"two names for one file":             {map[string]string{"efi": "-> /boot/efi", "boot/efi/loader/random-seed": "x"}, "/boot/efi/loader/random-seed"},
		"a key that is a link":               {map[string]string{"etc/ssh/ssh_host_rsa_key": "-> /etc/keys/a", "etc/keys/a": "x"}, "/etc/ssh/ssh_host_rsa_key"},
		"a name that the terminal would run": {map[string]string{"etc/ssh/ssh_host_\x1b[2J_key": "x"}, "/etc/ssh/ssh_host_?[2J_key"},
	} {
		top := t.TempDir()
		root := filepath.Join(top, "image")
		outside := filepath.Join(top, "outside")
		put(t, top, map[string]string{"outside/ssh_host_rsa_key": "key", "image/etc/x": "x"})
		for file, text := range c.files {
			put(t, root, map[string]string{file: strings.Replace(text, "OUTSIDE", outside, 1)})
		}
		faults, _ := run(t, root)
		if c.want == "" && len(faults) != 0 || c.want != "" && (len(faults) != 1 || faults[0].Path != c.want) {
			t.Errorf("%s: %+v", name, faults)
		}
	}
}

// Whatever an image is made of, the look at it ends.
func TestHostileFiles(t *testing.T) {
	root := t.TempDir()
	put(t, root, map[string]string{"etc/machine-id": "0", "boot/config-1": "CONFIG_VMGENID=y\n", "etc/nvme/hostid/x": "x"})
	for _, huge := range []string{"etc/machine-id", "boot/config-1"} {
		if err := os.Truncate(filepath.Join(root, huge), 1<<40); err != nil {
			need.Unmet(t, "a file system without large files: ", err)
		}
	}
	if err := os.Mkdir(filepath.Join(root, "etc/ssh"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, fifo := range []string{"etc/ssh/ssh_host_rsa_key", "etc/hostid", "boot/config-2"} {
		if err := unix.Mkfifo(filepath.Join(root, fifo), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	faults, _ := run(t, root)
	if len(faults) != 1 || faults[0].Path != "/etc/machine-id" {
		t.Errorf("%+v", faults)
	}
}

func TestManyFiles(t *testing.T) {
	root := t.TempDir()
	files := map[string]string{}
	for i := range maxNames + 1 {
		files["etc/ssh/ssh_host_"+strconv.Itoa(i)+"_key"] = "x"
	}
	put(t, root, files)
	faults, _ := run(t, root)
	if len(faults) > maxFindings+1 || faults[len(faults)-1].What != "and more of them" || !strings.Contains(faults[0].What, errNames.Error()) {
		t.Errorf("%d faults, the last %+v", len(faults), faults[len(faults)-1])
	}
}

// A maze of links costs a bounded number of looks, and is no silent "fine".
func TestMaze(t *testing.T) {
	root := t.TempDir()
	long := strings.Repeat("a/../", maxPath/5-10)
	files := map[string]string{"a/x": "x"}
	for i := range 30 {
		files["l"+strconv.Itoa(i)] = "-> " + long + "l" + strconv.Itoa(i+1)
	}
	for i := range 200 {
		files["etc/ssh/ssh_host_"+strconv.Itoa(i)+"_key"] = "-> /l0"
	}
	put(t, root, files)
	start := time.Now()
	faults, others := run(t, root)
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("took %v", took)
	}
	if len(faults) != 1 || faults[0].About != "image" || !strings.Contains(faults[0].What, errSteps.Error()) || len(others) != 1 {
		t.Errorf("faults %+v\nothers %+v", faults, others) // guestd, which is not there
	}
}

// FuzzLink: whatever a link says, no more is found than is in the image.
func FuzzLink(f *testing.F) {
	for _, target := range []string{"/a/id", "../../../id", "..", "/", "machine-id", "a/./../a//id", "../../outside/id", "/run/id"} {
		f.Add(target)
	}
	top := f.TempDir()
	root := filepath.Join(top, "image")
	for file, text := range map[string]string{"image/a/id": "inside", "image/run/id": "inside", "outside/id": "outside", "id": "outside"} {
		_ = os.MkdirAll(filepath.Dir(filepath.Join(top, file)), 0o755)
		_ = os.WriteFile(filepath.Join(top, file), []byte(text), 0o600)
	}
	f.Fuzz(func(t *testing.T, target string) {
		link := filepath.Join(root, "link"+strconv.Itoa(os.Getpid()))
		_ = os.Remove(link)
		if os.Symlink(target, link) != nil {
			t.Skip("no name for a link")
		}
		r, err := os.OpenRoot(root)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = r.Close() }()
		m := &image{root: r, steps: maxSteps}
		found, err := m.file("/" + filepath.Base(link))
		if err != nil || found.size == 0 {
			return
		}
		if text, err := m.read(found); err != nil || text != "inside" {
			t.Errorf("%q leads to %q: %q, %v", target, found.path, text, err)
		}
	})
}

//go:build linux

package command

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"headgate/guestd/check"
)

func TestFindings(t *testing.T) {
	found := []check.Finding{
		{Level: check.Fault, About: "ssh", Path: "/a", Shared: check.Secret, What: "one", Fix: "rm -f /a*"},
		{Level: check.Fault, About: "ssh", Path: "/ab", Shared: check.Secret, What: `"two"`, Fix: "rm -f /a*"},
		{Level: check.OK, About: "key", What: "well"},
		{Level: check.Note, About: "guestd", What: "could be better", Fix: "do it"},
	}
	want := `fault  ssh /a: one
fault  ssh /ab: "two"
       rm -f /a*
ok     key: well
note   guestd: could be better
       do it
`
	if got := string(findingsText(found)); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	for n := range len(found) + 1 {
		var objects []map[string]string
		if err := json.Unmarshal(findingsJSON(found[:n]), &objects); err != nil || len(objects) != n {
			t.Fatalf("%d objects, %v: %s", len(objects), err, findingsJSON(found[:n]))
		}
		for i, o := range objects {
			f := found[i]
			if len(o) != 6 || o["level"] != string(f.Level) || o["about"] != f.About || o["path"] != f.Path || o["shared"] != f.Shared || o["text"] != f.What || o["remedy"] != f.Fix {
				t.Errorf("%v, want %+v", o, f)
			}
		}
	}
}

func TestCheckFailsWhereSomethingIsShared(t *testing.T) {
	root := t.TempDir()
	look := func(args ...string) (int, string, string) {
		var out, errs bytes.Buffer
		code := Main(append([]string{"check", "--root", root}, args...), "v9", &out, &errs)
		return code, out.String(), errs.String()
	}
	if code, _, errs := look(); code != 1 || !strings.Contains(errs, "is it mounted?") {
		t.Errorf("of an empty folder: exit %d, %s", code, errs)
	}
	if err := os.MkdirAll(filepath.Join(root, "etc/ssh"), 0o755); err != nil {
		t.Fatal(err)
	}
	if code, out, errs := look(); code != 0 || !strings.Contains(out, "ok     ssh: ") || errs != "" {
		t.Errorf("of nothing: exit %d\n%s%s", code, out, errs)
	}
	for _, name := range []string{"etc/machine-id", "etc/ssh/ssh_host_rsa_key"} {
		if err := os.WriteFile(filepath.Join(root, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{nil, {"--json"}} {
		code, out, errs := look(args...)
		if code != 1 || !strings.Contains(out, "/etc/ssh/ssh_host_rsa_key") || !strings.Contains(errs, "secrets: 1, identities: 1\n") {
			t.Errorf("%v: exit %d\n%s%s", args, code, out, errs)
		}
	}
	root = filepath.Join(root, "none")
	if code, _, errs := look(); code != 1 || !strings.Contains(errs, "cannot look at the image") {
		t.Errorf("of no image: exit %d, %s", code, errs)
	}
}

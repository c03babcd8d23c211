package doctor

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestAllows(t *testing.T) {
	const path = "/run/headgate/guests/web1.sock"
	for text, want := range map[string]bool{
		"":                             false,
		`"/run/headgate/guests/*" rw,`: true,
		`  /run/headgate/guests/* rw,   # comment`:          true,
		"/run/headgate/guests/* r,\n/run/headgate/** w,":    true,
		`/run/headgate/guests/* r,`:                         false,
		`/run/headgate/guests/* w`:                          false, // no comma
		`#"/run/headgate/guests/*" rw,`:                     false,
		`rw "/run/headgate/guests/*",`:                      true,
		`rw /run/headgate/guests/*,`:                        true,
		`audit allow file /run/headgate/guests/*.sock rwk,`: true,
		`@{run}/headgate/guests/* rw,`:                      true,
		`/{,var/}run/headgate/guests/{*.sock,*.port} rw,`:   true,
		`/run/headgate/guests/web[0-9].s?ck rw,`:            true,
		`/run/headgate/guests/web[^1].sock rw,`:             false,
		`/run/headgate/* rw,`:                               false,
		`/run/** rw,`:                                       true,
		`/run/headgate/guests/web1\.sock rw,`:               true,
		`owner /run/headgate/guests/* rw,`:                  false, // who owns it is another matter
		"/run/** rw,\ndeny /run/headgate/** w,":             false,
		"deny /run/headgate/** w,\n/run/** rw,":             false,
		"/run/** rw,\ndeny /run/headgate/** x,":             true,
		"/run/** rw,\naudit deny owner /run/headgate/** w,": false,
		`@{HOME}/** rw,`:                                    false,
		`capability dac_override,`:                          false,
		`/run/headgate/guests/[ rw,`:                        false,
		`"/run/headgate/guests/* rw,`:                       false,
		`include <abstractions/base>`:                       false,
	} {
		if got := allows([]Policy{{"p", text}}, path, "rw"); got != want {
			t.Errorf("%q: %t, want %t", text, got, want)
		}
	}
}

func TestAllowsToRun(t *testing.T) {
	// As in Debian's profile of libvirtd.
	const profile = "  /** rwmkl,\n  /usr/bin/* PUx,\n  /usr/sbin/virtlogd pix,\n  /usr/sbin/* PUx,\n" +
		"  audit deny /{usr/,}sbin/apparmor_parser rwxl,\n  /usr/lib/bridge Cx -> qemu_bridge_helper,\n"
	for path, want := range map[string]bool{
		"/usr/sbin/hostd":           true,
		"/usr/bin/hostd":            true,
		"/usr/local/sbin/hostd":     false,
		"/opt/hostd":                false,
		"/usr/sbin/apparmor_parser": false,
		"/usr/lib/bridge":           true,
	} {
		if got := allows([]Policy{{"p", profile}}, path, "x"); got != want {
			t.Errorf("%s: %t, want %t", path, got, want)
		}
	}
}

// The examples are what the remedies write.
func TestExamplesAllow(t *testing.T) {
	example := func(name string) []Policy {
		text, err := os.ReadFile(filepath.Join("../../examples/libvirt/apparmor", name))
		if err != nil {
			t.Fatal(err)
		}
		return []Policy{{name, string(text)}}
	}
	for _, path := range []string{"/run/headgate/guests/web1.sock", "/run/headgate/guests/web1.port"} {
		if !allows(example("local/abstractions/libvirt-qemu"), path, "rw") {
			t.Errorf("the example does not let QEMU connect to %s", path)
		}
	}
	for _, path := range []string{"/run/headgate/control.sock", "/run/headgate/guests/other/x.sock"} {
		if allows(example("local/abstractions/libvirt-qemu"), path, "w") {
			t.Errorf("the example lets QEMU connect to %s", path)
		}
	}
	if !allows(example("local/usr.sbin.libvirtd"), "/usr/local/sbin/hostd", "x") {
		t.Error("the example does not let libvirtd run hostd")
	}
}

func FuzzAllows(f *testing.F) {
	f.Add(`owner "/run/{a,b}/*" rw, # x`, "/run/a/b")
	f.Add("deny /[a-z]* wl,", "/x")
	f.Add("rw @{run}/?,", "/var/run/x")
	f.Fuzz(func(t *testing.T, text, path string) {
		policy := []Policy{{"p", text}}
		before := allows(policy, path, "rw")
		if before && !strings.Contains(text, ",") {
			t.Fatalf("%q allows %q without a rule", text, path)
		}
		if strings.ContainsAny(path, "\r\n\"") || !strings.HasPrefix(path, "/") || !utf8.ValidString(path) {
			return
		}
		var exact strings.Builder
		for i := range len(path) {
			if strings.IndexByte("*?[]{}^,@\\", path[i]) >= 0 {
				exact.WriteByte('\\')
			}
			exact.WriteByte(path[i])
		}
		own := Policy{"own", `"` + exact.String() + `" rw,`}
		after := allows(append(policy, own), path, "rw")
		if before && !after {
			t.Fatalf("%q allows %q, and with %q it does not", text, path, own.Text)
		}
		own.Text = "deny " + own.Text
		if allows(append(policy, own), path, "rw") {
			t.Fatalf("%q allows %q against %q", text, path, own.Text)
		}
	})
}

package xen

import (
	"strings"
	"testing"
	"unicode/utf8"

	"headgate/xen/xenstore"
)

// FuzzTexts holds what is kept of xenstore's texts to what the rest of hostd counts
// on.
func FuzzTexts(f *testing.F) {
	f.Add("web1", uint16(5))
	f.Add("32752", uint16(0))
	f.Add("/vm/"+strings.ToUpper(uuid5), uint16(9))
	f.Add(strings.Repeat("ä", 100), uint16(1))
	f.Add("\xff\x00\n", uint16(1))
	f.Fuzz(func(t *testing.T, s string, n uint16) {
		if id, ok := parseID(s); ok && (id >= domidReserved || place(id) != "/local/domain/"+s) {
			t.Errorf("%q is domain %d", s, id)
		}
		if uuid, ok := parseUUID(s); ok && (len(uuid) != 36 || !strings.EqualFold(uuid, s) || strings.ContainsAny(uuid, "/ABCDEF")) {
			t.Errorf("%q is UUID %q", s, uuid)
		}
		if name := cleanName(s); name != "" && (name != s || len(name) > maxName || strings.ContainsAny(name, "\x00\n\x1b")) {
			t.Errorf("%q is shown as %q", s, name)
		}
		if c := clip(s); len(c) > maxClip+len("…") || utf8.ValidString(s) && !utf8.ValidString(c) {
			t.Errorf("%q is clipped to %q", s, c)
		}
		perms := []xenstore.Perm{{Domain: n, Access: xenstore.None}}
		for i := range len(s) {
			p := xenstore.Perm{Domain: uint16(s[i]) >> 2, Access: []xenstore.Access{'n', 'r', 'w', 'b'}[s[i]&3]}
			perms = append(perms, p)
			writes := p.Access == xenstore.WriteOnly || p.Access == xenstore.Both
			if writes && p.Domain == 5 && trusted(perms, 5) {
				t.Errorf("domain 5 may write with %v", perms)
			}
		}
		if n == 5 && trusted(perms, 5) {
			t.Error("it is its own")
		}
	})
}

package xenstore

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
)

func FuzzMessage(f *testing.F) {
	f.Add(uint32(opRead), uint32(1), uint32(0), "a/b\x00", uint8(3))
	f.Add(uint32(opWatchEvent), uint32(0), uint32(0), "@releaseDomain\x001\x00", uint8(200))
	f.Add(uint32(opError), uint32(7), uint32(9), strings.Repeat("x", payloadMax), uint8(0))
	f.Fuzz(func(t *testing.T, op, req, tx uint32, payload string, cut uint8) {
		payload = payload[:min(len(payload), payloadMax)]
		h := header{op, req, tx}
		at := min(int(cut), len(payload))
		b := appendMessage([]byte("before"), h, payload[:at], payload[at:])[len("before"):]
		for _, part := range []int{0, int(cut) % len(b), len(b) - 1} {
			if _, _, size, err := nextMessage(b[:part]); size != 0 || err != nil {
				t.Fatalf("%d bytes of %d are taken for %d, %v", part, len(b), size, err)
			}
		}
		got, p, size, err := nextMessage(append(b, "behind"...))
		if err != nil || got != h || string(p) != payload || size != len(b) {
			t.Fatalf("%v %q comes back as %v %q, %v", h, payload, got, p, err)
		}
	})
}

func FuzzNextMessage(f *testing.F) {
	f.Add(appendMessage(nil, header{opRead, 1, 2}, "v"))
	f.Add(append(make([]byte, 12), 1, 16, 0, 0))
	f.Add(append(make([]byte, 12), 0xff, 0xff, 0xff, 0xff))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, payload, size, err := nextMessage(b)
		switch {
		case err != nil:
			if len(b) < headerLen || size != 0 {
				t.Fatalf("%x: size %d, %v", b, size, err)
			}
		case size == 0:
			if len(b) >= messageMax {
				t.Fatalf("%d bytes are not enough", len(b))
			}
		default:
			if size > messageMax || size != headerLen+len(payload) {
				t.Fatalf("size %d with a payload of %d", size, len(payload))
			}
			if back := appendMessage(nil, h, string(payload)); !bytes.Equal(back, b[:size]) {
				t.Fatalf("%x comes back as %x", b[:size], back)
			}
		}
	})
}

func FuzzPayload(f *testing.F) {
	f.Add([]byte("a\x00b\x00"))
	f.Add([]byte("12\x00"))
	f.Add([]byte("7\x00a\x00b\x00\x00"))
	f.Add([]byte("n0\x00r5\x00"))
	f.Add([]byte("ENOENT\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, ok := parseString(b); ok && s+nul != string(b) {
			t.Fatalf("string %q of %q", s, b)
		}
		if list, ok := parseStrings(b); ok {
			back := ""
			for _, s := range list {
				back += s + nul
			}
			if back != string(b) {
				t.Fatalf("strings %q of %q", list, b)
			}
		}
		if path, token, ok := parseEvent(b); ok && !bytes.HasPrefix(b, []byte(string(path)+nul+string(token)+nul)) {
			t.Fatalf("event %q %q of %q", path, token, b)
		}
		if id, ok := parseTransaction(b); ok && id == 0 {
			t.Fatal("transaction 0")
		}
		if g, part, last, ok := parsePart(b); ok {
			back := g + nul + string(part)
			if last && back != string(b) {
				back += nul // the empty name
			}
			if back != string(b) || g == "" || !last && len(part) == 0 {
				t.Fatalf("part %q %q %v of %q", g, part, last, b)
			}
		}
		if perms, ok := parsePerms(b); ok {
			if len(perms) == 0 {
				t.Fatal("nobody owns it")
			}
			for _, p := range perms {
				if q, ok := parsePerm(p.String()); !ok || q != p {
					t.Fatalf("%v comes back as %v", p, q)
				}
			}
		}
		if err, bad := refusal(b); bad == nil && (err == nil || len(err.Error()) > 200) {
			t.Fatalf("refusal %v", err)
		}
	})
}

// The rules of docs/misc/xenstore.txt in another form.
var legalPath = regexp.MustCompile(`^(/|/?[-A-Za-z0-9_@]+(/[-A-Za-z0-9_@]+)*)$`)

func FuzzPath(f *testing.F) {
	for _, p := range []string{"", "/", "a", "/a", "a/", "/a/", "a//b", "//", "@releaseDomain", "a b", "a\x00", "ä", "data/headgate"} {
		f.Add(p, uint16(0))
	}
	f.Add("/a", uint16(3070))
	f.Add("/a", uint16(3071))
	f.Add("a", uint16(2047))
	f.Add("a", uint16(2048))
	f.Fuzz(func(t *testing.T, p string, more uint16) {
		p += strings.Repeat("x", int(more%4000))
		most := relativePathMax
		if strings.HasPrefix(p, "/") {
			most = absolutePathMax
		}
		// $ of a regular expression allows a newline; the class above does not.
		want := len(p) <= most && legalPath.MatchString(p)
		if got := checkPath(p); (got == nil) != want {
			t.Fatalf("%q: %v", p, got)
		}
	})
}

package early

import (
	"strings"
	"testing"
	"time"
)

const readyLine = "5,312,1084567,-;random: crng init done\n"

func TestKmsg(t *testing.T) {
	for _, c := range []struct {
		text  string
		ok    bool
		ready bool
		want  Logged
	}{
		{readyLine, true, true, Logged{}},
		{"5,312,1084567,-,caller=T1;random: crng init done\n SUBSYSTEM=x\n", true, true, Logged{}},
		{"13,312,1084567,-;random: crng init done\n", true, false, Logged{}}, // a program's word
		{"5,312,1084567,-;my random: crng init done\n", true, false, Logged{}},
		{"5,312,1084567,-;random: crng init done soon\n", true, false, Logged{}},
		{"5,9,2000001,-;random: dd: uninitialized urandom read (16 bytes read)\n", true, false, Logged{"dd", 16, Seconds(2000001 * time.Microsecond)}},
		{"5,9,1,-;random: a: uninitialized urandom read (1 bytes read): uninitialized urandom read (2 bytes read)\n", true, false,
			Logged{"a: uninitialized urandom read (1 bytes read)", 2, Seconds(time.Microsecond)}},
		{"13,9,1,-;random: dd: uninitialized urandom read (16 bytes read)\n", true, false, Logged{}},
		{"5,9,1,-;random: dd: uninitialized urandom read (-1 bytes read)\n", true, false, Logged{}},
		{"5,9,1,-;random: 7 urandom warning(s) missed due to ratelimiting\n", true, false, Logged{}},
		{"5,9,-1,-;x\n", false, false, Logged{}},
		{"5,9,99999999999999999,-;x\n", false, false, Logged{}},
		{"5,9,1;x\n", false, false, Logged{}},
		{"", false, false, Logged{}},
		{";", false, false, Logged{}},
	} {
		r, ok := parseKmsg([]byte(c.text))
		got, unready := r.unready()
		if ok != c.ok || r.ready() != c.ready || unready != (c.want != Logged{}) || unready && got != c.want {
			t.Errorf("%q: %+v %v, ready %v, %+v %v", c.text, r, ok, r.ready(), got, unready)
		}
	}
}

func FuzzKmsg(f *testing.F) {
	f.Add([]byte(readyLine))
	f.Add([]byte("5,9,2000001,-;random: dd: uninitialized urandom read (16 bytes read)\n"))
	f.Add([]byte("13,9,1,-,caller=C0;x\n SUBSYSTEM=pci\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, ok := parseKmsg(b)
		if !ok {
			if r != (kmsgRecord{}) {
				t.Error("something out of nothing")
			}
			return
		}
		if r.at < 0 || strings.Contains(r.text, "\n") || !strings.Contains(string(b), ";"+r.text) {
			t.Errorf("%+v", r)
		}
		l, unready := r.unready()
		if !r.kernel && (unready || r.ready()) {
			t.Error("a program is believed")
		}
		if unready && (r.ready() || l.At != r.at || !strings.Contains(r.text, l.Process)) {
			t.Errorf("%+v of %+v", l, r)
		}
		// What comes after the line does not matter.
		line, _, _ := strings.Cut(string(b), "\n")
		if again, ok := parseKmsg([]byte(line + "\n K=V\n")); !ok || again != r {
			t.Errorf("%+v and %+v", r, again)
		}
	})
}

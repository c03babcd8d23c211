//go:build linux

package sign

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"headgate/guestd/kernel"
	"headgate/wire/feed"
)

// table is QEMU's file of 4096 bytes with a GUID of bytes b.
func table(b byte) string {
	return strings.Repeat("\x00", guidOffset) + strings.Repeat(string(rune(b)), guidSize) +
		strings.Repeat("\x00", 4096-guidOffset-guidSize)
}

func TestGUID(t *testing.T) {
	g := newGuest(t)
	g.write(t, kernel.GUIDPath, table(1))
	g.start(t)
	g.tick(t, time.Second)
	g.quiet(t, 10*time.Millisecond)
	for b := byte(2); b < 4; b++ {
		g.write(t, kernel.GUIDPath, table(b))
		g.tick(t, time.Second)
		if s := g.await(t, feed.ReasonVMGenID); s.N != guidSize || s.Mix[0] != b || s.Mix[15] != b {
			t.Errorf("mix %x, %d", s.Mix, s.N)
		}
	}
	g.write(t, kernel.GUIDPath, "") // one bad reading is not another GUID
	g.tick(t, time.Second)
	g.write(t, kernel.GUIDPath, table(3))
	g.tick(t, time.Second)
	g.quiet(t, 10*time.Millisecond)
}

func TestClock(t *testing.T) {
	g := newGuest(t)
	rtc := int64(1795354249)
	set := func(n int64) { rtc += n; g.write(t, cmos, strconv.FormatInt(rtc, 10)+"\n") }
	set(0)
	g.start(t)
	for _, n := range []int64{1, 0, 2, 0, 1} { // as fast as the kernel's, give or take
		set(n)
		g.tick(t, time.Second)
	}
	g.quiet(t, 10*time.Millisecond)
	set(61)
	g.tick(t, time.Second)
	a := g.await(t, feed.ReasonClock)
	set(-1800) // a snapshot of an hour ago, and a host that was set back
	g.tick(t, time.Second)
	if b := g.await(t, feed.ReasonClock); a.N != 16 || a.Mix == b.Mix {
		t.Errorf("mix %x, then %x", a.Mix, b.Mix)
	}
	g.write(t, cmos, "")
	g.tick(t, time.Second)
	set(2)
	g.tick(t, time.Second)
	g.quiet(t, 10*time.Millisecond)
}

// However long a reading takes and wherever the seconds tick, clocks that did not
// move apart give no sign, and those that moved by 3 s do if the readings were quick.
func TestClockSpans(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ns := func(name string, least, most time.Duration) time.Duration {
			return time.Duration(rapid.Int64Range(int64(least), int64(most)).Draw(t, name))
		}
		phase := ns("phase", 0, time.Second)
		jump := ns("jump", -time.Hour, time.Hour)
		slow := ns("slow", 0, 20*time.Second)
		read := func(began, jumped, took time.Duration) span {
			at := began + ns("read", 0, took) // somewhere in between
			rtc := (phase + at + jumped).Truncate(time.Second)
			return span{rtc - (began + took), rtc + time.Second - began}
		}
		first := read(time.Hour*3, 0, slow)
		if second := read(time.Hour*4, 0, slow); second.from(first) >= clockJump {
			t.Fatalf("%v after %v: no jump, and a sign", second, first)
		}
		if max(jump, -jump) >= 3*time.Second {
			quick := read(time.Hour*3, 0, 0)
			if second := read(time.Hour*4, jump, 0); second.from(quick) < clockJump {
				t.Fatalf("%v after %v: a jump of %v, and no sign", second, first, jump)
			}
		}
	})
}

func TestParseSeconds(t *testing.T) {
	for text, want := range map[string]int64{"0\n": 0, "1795354249\n": 1795354249, "-1\n": -1, "7": 7} {
		if n, err := parseSeconds([]byte(text)); n != want || err != nil {
			t.Errorf("%q: %d, %v", text, n, err)
		}
	}
	for _, text := range []string{"", "\n", "noon\n", "9223372036854775807\n", "-9999999999999\n", "1\n2"} {
		if n, err := parseSeconds([]byte(text)); err == nil {
			t.Errorf("%q: %d", text, n)
		}
	}
}

//go:build linux

package sign

import (
	"bytes"
	"errors"
	"os"
	"strconv"
	"time"

	"headgate/wire/feed"
)

// clockFile is the battery-backed clock in seconds: in a guest, the host's.
const clockFile = "sys/class/rtc/rtc0/since_epoch"

// clockJump is by how much the two clocks must certainly have moved apart between two
// looks. The battery-backed one counts whole seconds, so that this is less than what
// was seen by one: 2 s seen are a sign, a jump of 3 s always is one.
const clockJump = time.Second

// clock compares the battery-backed clock with the kernel's monotonic one, which goes
// on after a restore where it stood in the saved state. It is not compared with the
// time of day: a guest agent that sets that, and the battery-backed one with it, as
// soon as the guest is restored, would hide the jump, and a time daemon's step would
// look like one.
type clock struct {
	rtc   *os.File
	now   func() time.Time
	start time.Time
	last  span
}

// span is where the difference of the two clocks lies.
type span struct{ least, most time.Duration }

// from is by how much one span is certainly apart from another.
func (s span) from(t span) time.Duration { return max(s.least-t.most, t.least-s.most) }

func openClock(path string, now func() time.Time) (*clock, error) {
	rtc, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	c := &clock{rtc: rtc, now: now, start: now()}
	if c.last, _, err = c.read(); err != nil {
		_ = rtc.Close()
		return nil, err
	}
	return c, nil
}

var errNoTime = errors.New("not a time")

// read reads both clocks. That takes as long as it takes: up to 10 ms where the
// battery-backed one is about to tick, and more on a host that is busy, hence a span.
func (c *clock) read() (s span, seconds int64, err error) {
	var buf [24]byte
	before := c.now().Sub(c.start)
	n, err := readAt(c.rtc, buf[:], 0)
	after := c.now().Sub(c.start)
	if err != nil {
		return s, 0, err
	}
	if seconds, err = parseSeconds(buf[:n]); err != nil {
		return s, 0, err
	}
	rtc := time.Duration(seconds) * time.Second
	return span{rtc - after, rtc + time.Second - before}, seconds, nil
}

// parseSeconds reads what the kernel wrote, as long as it lies within 200 years:
// more does not fit a duration, and no clock says it.
func parseSeconds(b []byte) (int64, error) {
	const most = 200 * 365 * 24 * 60 * 60
	n, err := strconv.ParseInt(string(bytes.TrimSuffix(b, []byte("\n"))), 10, 64)
	if err != nil || n < -most || n > most {
		return 0, errNoTime
	}
	return n, nil
}

// look says whether they moved apart since the last look. That they drift, and what
// hour the battery-backed one thinks it is, does not count.
func (c *clock) look() (sign Sign, jumped bool, err error) {
	s, seconds, err := c.read()
	if err != nil {
		return Sign{}, false, err
	}
	jumped = s.from(c.last) >= clockJump
	c.last = s
	if jumped {
		sign = Sign{Reason: feed.ReasonClock, N: guidSize}
		put(sign.Mix[:8], uint64(seconds))
		put(sign.Mix[8:], uint64(s.most))
	}
	return sign, jumped, nil
}

func put(b []byte, n uint64) {
	for i := range b {
		b[i] = byte(n >> (8 * i))
	}
}

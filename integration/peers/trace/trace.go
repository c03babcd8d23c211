// Package trace counts what a program told the kernel's random device, from what
// strace(1) wrote of its ioctls.
package trace

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Summary is what a program did to /dev/random (random(4)).
type Summary struct {
	Adds    int // RNDADDENTROPY
	Credits int // of those, with bits
	Bits    int // credited by them all
	Bytes   int // given by them all
	Reseeds int // RNDRESEEDCRNG
	Refused int // of those, ENODATA: the generator was not ready yet
}

// lineLimit bounds one line: strace is told to print no buffers.
const lineLimit = 1 << 16

// Summarize reads lines of strace -f -s 0 -e trace=ioctl. Lines that are about
// something else, or cut, are passed over.
func Summarize(r io.Reader) (Summary, error) {
	var s Summary
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, lineLimit)
	for lines.Scan() {
		s.count(lines.Text())
	}
	if err := lines.Err(); err != nil && !errors.Is(err, bufio.ErrTooLong) {
		return s, fmt.Errorf("read the trace: %w", err)
	}
	return s, nil
}

func (s *Summary) count(line string) {
	switch {
	case strings.Contains(line, "RNDRESEEDCRNG"):
		s.Reseeds++
		if strings.Contains(line, "ENODATA") {
			s.Refused++
		}
	case strings.Contains(line, "RNDADDENTROPY"):
		if strings.Contains(line, "= -1 ") {
			return
		}
		bits, ok := number(line, "entropy_count=")
		bytes, has := number(line, "buf_size=")
		if !ok || !has {
			return
		}
		s.Adds++
		s.Bytes += bytes
		if bits > 0 {
			s.Credits++
			s.Bits += bits
		}
	}
}

// number is the one that follows a word.
func number(line, after string) (int, bool) {
	_, rest, found := strings.Cut(line, after)
	if !found {
		return 0, false
	}
	end := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		return 0, false // cut
	}
	// An ioctl's count is an int, its size below 2^31 (linux/random.h).
	n, err := strconv.ParseInt(rest[:end], 10, 32)
	return int(n), err == nil
}

// Since is what was done after an earlier look.
func (s Summary) Since(before Summary) Summary {
	return Summary{
		Adds: s.Adds - before.Adds, Credits: s.Credits - before.Credits, Bits: s.Bits - before.Bits,
		Bytes: s.Bytes - before.Bytes, Reseeds: s.Reseeds - before.Reseeds, Refused: s.Refused - before.Refused,
	}
}

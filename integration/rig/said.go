//go:build linux

package rig

import (
	"bytes"
	"io"
)

// FailedMark begins the line by which a test program says that a test has failed.
const FailedMark = "--- FAIL"

// said passes on what a test program says, and notes whether it said that a test has
// failed.
type said struct {
	to     io.Writer
	failed bool
	line   []byte // the beginning of the one that is not over
}

func (s *said) Write(p []byte) (int, error) {
	for rest := p; !s.failed; {
		line, after, over := bytes.Cut(rest, []byte("\n"))
		s.line = append(s.line, line[:min(len(line), max(len(FailedMark)-len(s.line), 0))]...)
		s.failed = bytes.HasPrefix(s.line, []byte(FailedMark))
		if !over {
			break
		}
		s.line, rest = s.line[:0], after
	}
	return s.to.Write(p)
}

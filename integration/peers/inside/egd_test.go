//go:build linux

package main

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

// talk gives an EGD client's bytes and takes the answers.
type talk struct {
	io.Reader
	bytes.Buffer
}

func (t *talk) Read(b []byte) (int, error) { return t.Reader.Read(b) }

func TestAnswer(t *testing.T) {
	for _, c := range []struct {
		asked, answered string
		gone            bool
	}{
		{"\x00", "\x00\x00\x80\x00", true},
		{"\x01\x02\x02\x04", "\x02abcabc", true}, // a count, then none, and on in the stock
		{"\x04", "\x03egd", true},
		{"\x02", "", true},
		{"\x00\x09", "\x00\x00\x80\x00", false},
	} {
		client := &talk{Reader: bytes.NewReader([]byte(c.asked))}
		err := answer(client, []byte("abc"))
		if client.String() != c.answered || errors.Is(err, io.EOF) != c.gone {
			t.Errorf("%q: answered %q, %v; want %q", c.asked, client.String(), err, c.answered)
		}
	}
}

package egd

import (
	"encoding/binary"
	"fmt"
	"io"
)

// window is how many reads a Client sends ahead of their answers: enough to
// hide the round trip, and so little (32 bytes of requests, 4,080 of answers)
// that a server that does not drain cannot block both sides.
const window = 16

// A Client asks an EGD server. It holds no entropy once a call has returned.
// It is not safe for concurrent use: EGD's answers do not say whose they are.
type Client struct {
	rw  io.ReadWriter
	buf [4 + MaxData]byte
}

// NewClient returns a client that speaks over rw.
func NewClient(rw io.ReadWriter) *Client { return &Client{rw: rw} }

// Level returns how many bits the server says are available.
func (c *Client) Level() (bits uint32, err error) {
	if err := c.ask(Request{Op: OpLevel}); err != nil {
		return 0, err
	}
	if err := c.answer(c.buf[:4]); err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint32(c.buf[:]), nil
}

// ReadNonblock fills p with what can be had at once, at most MaxData bytes, and
// returns how many. None is no error.
func (c *Client) ReadNonblock(p []byte) (int, error) {
	p = p[:min(len(p), MaxData)]
	if err := c.ask(Request{Op: OpReadNonblock, N: uint8(len(p))}); err != nil {
		return 0, err
	}
	if err := c.answer(c.buf[:1]); err != nil {
		return 0, err
	}
	n := int(c.buf[0])
	if n > len(p) {
		return 0, fmt.Errorf("egd server gave %d bytes of %d asked", n, len(p))
	}
	return n, c.answer(p[:n])
}

// Read fills the whole of p, however long the server takes. After an error p
// holds nothing to be used.
func (c *Client) Read(p []byte) (int, error) {
	done := 0
	for done < len(p) {
		req, n := c.buf[:0], 0
		for len(req) < 2*window && done+n < len(p) {
			m := min(len(p)-done-n, MaxData)
			req, n = Request{Op: OpRead, N: uint8(m)}.Append(req), n+m
		}
		if _, err := c.rw.Write(req); err != nil {
			return done, fmt.Errorf("ask egd server: %w", err)
		}
		if err := c.answer(p[done : done+n]); err != nil {
			return done, err
		}
		done += n
	}
	return done, nil
}

// Write pushes p to the server, with no claim of entropy in it. Servers with
// sense drop it.
func (c *Client) Write(p []byte) (int, error) {
	done := 0
	for done < len(p) {
		n := min(len(p)-done, MaxData)
		req := Request{Op: OpWrite, N: uint8(n)}.Append(c.buf[:0])
		req = append(req, p[done:done+n]...)
		_, err := c.rw.Write(req)
		clear(req)
		if err != nil {
			return done, fmt.Errorf("push to egd server: %w", err)
		}
		done += n
	}
	return done, nil
}

// PID returns the process id that the server gives, as text.
func (c *Client) PID() (string, error) {
	if err := c.ask(Request{Op: OpPID}); err != nil {
		return "", err
	}
	if err := c.answer(c.buf[:1]); err != nil {
		return "", err
	}
	text := c.buf[:c.buf[0]]
	if err := c.answer(text); err != nil {
		return "", err
	}
	return string(text), nil
}

func (c *Client) ask(r Request) error {
	if _, err := c.rw.Write(r.Append(c.buf[:0])); err != nil {
		return fmt.Errorf("ask egd server: %w", err)
	}
	return nil
}

func (c *Client) answer(p []byte) error {
	if _, err := io.ReadFull(c.rw, p); err != nil {
		return fmt.Errorf("read egd answer: %w", err)
	}
	return nil
}

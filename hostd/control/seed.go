package control

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"headgate/hostd/config"
)

// SeedSize is the size of a seed in bytes: what systemd-random-seed(8) reads and
// writes at least (RANDOM_POOL_SIZE_MIN of systemd's random-util.h).
const SeedSize = 512

// What a seed is put into; see SeedRequest.
const (
	SeedFile      = "file"
	SeedCloudInit = "cloud-init"
	SeedRoot      = "root"
)

// seedCount is the header field that tells how many seeds a name has had.
const seedCount = "Headgate-Seeds"

// SeedRequest asks for a seed that is given to nobody else.
type SeedRequest struct {
	For string `json:"for"` // whose seed it is to be: a name as a guest's
	As  string `json:"as"`  // what it is put into, for the event log
}

// Check says what is wrong with a request.
func (r SeedRequest) Check() error {
	if err := config.CheckName(r.For); err != nil {
		return fmt.Errorf("%w name: %w", ErrInvalid, err)
	}
	switch r.As {
	case SeedFile, SeedCloudInit, SeedRoot:
		return nil
	}
	return fmt.Errorf("%w as %.20q: allowed: %s, %s or %s", ErrInvalid, r.As, SeedFile, SeedCloudInit, SeedRoot)
}

// Seed waits for a seed. How many that name has had since hostd started, with this
// one, is count. The caller wipes the seed.
func (c *Client) Seed(ctx context.Context, r SeedRequest, seed *[SeedSize]byte) (count uint64, err error) {
	defer func() {
		if err != nil {
			clear(seed[:])
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
		}
	}()
	data, err := json.Marshal(r)
	if err != nil {
		return 0, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://hostd/v1/seeds", bytes.NewReader(data))
	if err != nil {
		return 0, err
	}
	// A connection of its own: what the shared one's buffers have held stays in memory.
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", c.path)
	if err != nil {
		return 0, c.unreachable(err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if err := req.Write(conn); err != nil {
		return 0, c.unreachable(err)
	}
	in := bufio.NewReader(conn)
	defer wipe(in)
	a, err := http.ReadResponse(in, req)
	if err != nil {
		return 0, c.broken(err)
	}
	defer a.Body.Close()
	if a.StatusCode != http.StatusOK {
		return 0, refused(a)
	}
	if _, err := io.ReadFull(a.Body, seed[:]); err != nil {
		return 0, c.broken(err)
	}
	count, err = strconv.ParseUint(a.Header.Get(seedCount), 10, 64)
	return count, err
}

// broken says what an answer that ends early comes from.
func (c *Client) broken(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return fmt.Errorf("hostd at %s has stopped", c.path)
	}
	return c.unreachable(err)
}

// wipe fills the reader's buffer with zeros.
func wipe(r *bufio.Reader) {
	r.Reset(zeros{})
	_, _ = r.Peek(r.Size())
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// seed waits as long as the client does. The answer is written past net/http's
// buffers, which are used for other answers after this one.
func (a api) seed(w http.ResponseWriter, r *http.Request) {
	var request SeedRequest
	err := body(w, r, &request)
	if err == nil {
		err = request.Check()
	}
	if err != nil {
		fail(w, err)
		return
	}
	out := unhurried(w)
	hijacked := false
	err = a.daemon.GiveSeed(r.Context(), request, func(count uint64, seed []byte) error {
		conn, _, err := out.Hijack()
		if err != nil {
			return err
		}
		hijacked = true
		defer conn.Close()
		_ = conn.SetWriteDeadline(time.Now().Add(answerTimeout))
		head := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n"+
			"%s: %d\r\nConnection: close\r\n\r\n", len(seed), seedCount, count)
		if _, err = io.WriteString(conn, head); err == nil {
			_, err = conn.Write(seed)
		}
		return err
	})
	switch {
	case err == nil || hijacked:
	case r.Context().Err() != nil: // if it is the client that has left, nobody reads it
		answer(w, http.StatusServiceUnavailable, failure{"hostd is stopping"})
	default:
		fail(w, err)
	}
}

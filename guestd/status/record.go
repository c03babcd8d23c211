//go:build linux

// Package status keeps what guestd did in a small file, for `guestd status` and
// for whatever watches a guest.
//
// It promises that a reader sees the old record or the new one, never half of
// one, and that no byte of entropy is in it.
package status

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"headgate/guestd/quote"
)

// Path is where guestd keeps its record: in a folder of its own, for a service is
// given that one to write to and no other.
const Path = "/run/guestd/guestd.json"

// Record is one flat JSON object; an unknown key is skipped, an absent one leaves
// its field zero.
type Record struct {
	PID          int
	Version      string
	Kernel       string    // its release
	Confidential string    // the kind of confidential VM that this is, empty if none
	Credit       string    // the policy
	Pipe         string    // the one that last brought something
	Kind         string    // of that pipe: vchan, channel, port or hwrng
	Started      time.Time // guestd
	Seeded       time.Time // the first time, zero if not yet
	Reseeded     time.Time // the last time
	Uptime       int       // milliseconds from the kernel's start to Seeded
	Reason       string    // why it reseeded last: one of the words in wire/feed
	Bytes        int       // mixed since the start
	Bits         int       // credited since the start
	Reseeds      int
	Failures     int    // batches that failed a health test
	Health       string // "passed", or the failure
	Clones       string // the signs by which a clone is noticed here, "; " between them
	Notes        string // what is missing here and what that means, "; " between them
	Error        string // what is wrong now, empty if nothing
}

// each calls f with every key and a pointer to its field, in the file's order.
func (r *Record) each(f func(key string, field any)) {
	f("pid", &r.PID)
	f("version", &r.Version)
	f("kernel", &r.Kernel)
	f("confidential", &r.Confidential)
	f("credit", &r.Credit)
	f("pipe", &r.Pipe)
	f("kind", &r.Kind)
	f("started", &r.Started)
	f("seeded", &r.Seeded)
	f("reseeded", &r.Reseeded)
	f("seeded_uptime_ms", &r.Uptime)
	f("reason", &r.Reason)
	f("bytes", &r.Bytes)
	f("credited_bits", &r.Bits)
	f("reseeds", &r.Reseeds)
	f("health_failures", &r.Failures)
	f("health", &r.Health)
	f("clones", &r.Clones)
	f("notes", &r.Notes)
	f("error", &r.Error)
}

// AppendJSON appends the record. (encoding/json would double guestd's size.)
func (r *Record) AppendJSON(b []byte) []byte {
	b = append(b, '{')
	r.each(func(key string, field any) {
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = append(append(append(b, '"'), key...), `":`...)
		switch v := field.(type) {
		case *int:
			b = strconv.AppendInt(b, int64(*v), 10)
		case *string:
			b = quote.Append(b, *v)
		case *time.Time:
			if v.IsZero() {
				b = append(b, "null"...)
			} else {
				b = append(v.UTC().AppendFormat(append(b, '"'), time.RFC3339Nano), '"')
			}
		}
	})
	return append(b, '}', '\n')
}

// Write replaces the file at path, and makes its directory if need be.
func (r *Record) Write(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	next := path + ".new"
	if err := os.WriteFile(next, r.AppendJSON(nil), 0o644); err != nil {
		return err
	}
	return os.Rename(next, path)
}

// Read reads the record at path.
func Read(path string) (r Record, raw []byte, err error) {
	raw, err = os.ReadFile(path)
	if err != nil {
		return r, nil, err
	}
	if !r.parse(string(raw)) {
		return r, nil, errors.New(path + ": not a status record")
	}
	return r, raw, nil
}

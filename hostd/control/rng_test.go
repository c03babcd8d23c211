package control

import (
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"

	"headgate/hostd/meter"
)

func TestReaders(t *testing.T) {
	f := fake()
	c, _ := serve(t, f)
	if _, err := c.RNG(t.Context()); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "the meter is off") {
		t.Errorf("without a meter: %v", err)
	}
	f.Readers = func() (RNG, error) { return RNG{}, errors.New("no BTF") }
	var e *Error
	if _, err := c.RNG(t.Context()); !errors.As(err, &e) || e.Status != 500 || e.Message != "no BTF" {
		t.Errorf("with a meter that failed: %v", err)
	}
	want := RNG{Meter: meter.Reading{
		Ways:  []meter.WayCount{{Way: meter.Urandom, How: "fentry", Function: "urandom_read_iter", Bytes: 1 << 63, Calls: 7}},
		Users: []meter.User{{PID: 42, Process: "dd", Cgroup: "/x", Bytes: map[meter.Way]uint64{meter.Urandom: 1 << 63}, Calls: map[meter.Way]uint64{meter.Urandom: 7}}},
		Notes: []string{"a note"},
	}}
	f.Readers = func() (RNG, error) { return want, nil }
	if got, err := c.RNG(t.Context()); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	f.Readers = func() (RNG, error) { return RNG{}, nil }
	r, err := c.send(t.Context(), "GET", "/v1/rng", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if got, _ := io.ReadAll(r.Body); strings.Contains(string(got), `"users":null`) || strings.Contains(string(got), `"ways":null`) || strings.Contains(string(got), `"notes":null`) {
		t.Errorf("a list that is no list: %s", got)
	}
}

func qemuUser(pid int, domain string, bytes, calls map[meter.Way]uint64) meter.User {
	return meter.User{PID: pid, Process: "qemu-system-x86", Domain: domain, QEMU: true, Bytes: bytes, Calls: calls}
}

func TestUnmetered(t *testing.T) {
	type n = map[meter.Way]uint64
	r := meter.Reading{Users: []meter.User{
		qemuUser(1, "seeds-only", n{meter.Urandom: 32, meter.Getrandom: 9000}, n{meter.Urandom: 2, meter.Getrandom: 5}),
		qemuUser(2, "hw", n{meter.HWRNG: 64, meter.Urandom: 32}, n{meter.HWRNG: 1, meter.Urandom: 2}),
		// Its threads have rows of their own.
		qemuUser(3, "two", n{meter.Urandom: 32}, n{meter.Urandom: 2}),
		qemuUser(3, "two", n{meter.Urandom: 640, meter.Random: 1}, n{meter.Urandom: 10, meter.Random: 1}),
		qemuUser(4, "asked-in-vain", n{}, n{meter.HWRNG: 4}),
		{PID: 5, Process: "dd", Bytes: n{meter.HWRNG: 1 << 20}, Calls: n{meter.HWRNG: 1}},
	}}
	ended := qemuUser(6, "ended", n{meter.HWRNG: 640}, n{meter.HWRNG: 10})
	ended.Gone = true
	r.Users = append(r.Users, ended)
	r.Users[1].Vouched = true
	want := []Unmetered{
		{Domain: "two", PID: 3, Ways: []meter.Way{meter.Random, meter.Urandom}, Bytes: 673},
		{Domain: "hw", Vouched: true, PID: 2, Ways: []meter.Way{meter.HWRNG}, Bytes: 64},
	}
	if got := UnmeteredIn(r); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := UnmeteredIn(meter.Reading{}); got != nil {
		t.Errorf("nobody: %+v", got)
	}
}

package xen

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"headgate/xen/xenstore"
	"headgate/xen/xenstore/storetest"
)

const (
	uuid5 = "5f0ae2b6-9c0e-4b0a-8d0c-000000000005"
	uuid6 = "5f0ae2b6-9c0e-4b0a-8d0c-000000000006"
)

// sink keeps what it is told.
type sink struct {
	mu        sync.Mutex
	domains   map[uint16]Domain
	log       []string
	ups, alls int
	mistakes  []string
}

func (s *sink) note(format string, args ...any) {
	s.log = append(s.log, fmt.Sprintf(format, args...))
}

func (s *sink) Up(d Domain) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ups++
	if was, there := s.domains[d.ID]; there && was.UUID != "" && was.UUID != d.UUID {
		s.mistakes = append(s.mistakes, "another domain of that number, and the old one was not told to be down")
	}
	s.note("up %d", d.ID)
	s.domains[d.ID] = d
}

func (s *sink) Down(id uint16) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, there := s.domains[id]; !there {
		s.mistakes = append(s.mistakes, "one is told to be down that was not up")
	}
	s.note("down %d", id)
	delete(s.domains, id)
}

func (s *sink) All(domains []Domain) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.alls++
	s.note("all %d", len(domains))
	clear(s.domains)
	for _, d := range domains {
		s.domains[d.ID] = d
	}
}

func (s *sink) Connected(where string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.note("connected %s", where)
}

func (s *sink) Lost(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.note("lost %v", err)
}

func (s *sink) get(id uint16) (Domain, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, there := s.domains[id]
	return d, there
}

func (s *sink) said() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.log, "; ")
}

// xenHost is a xenstored, a toolstack's and domain 5's connections to it, and a Follower.
type xenHost struct {
	*sink
	t        *testing.T
	follower *Follower
	store    *storetest.Store
	tools    *xenstore.Conn
	path     string
	reads    atomic.Int32   // of ring-ref, by the Follower
	watches  atomic.Int32   // of rings, without those taken away
	commits  func(net.Conn) // before each of the Follower's; nil: nothing
	slow     atomic.Int64   // how long each of the Follower's requests takes, a time.Duration

	mu   sync.Mutex
	last net.Conn // the Follower's
}

func newHost(t *testing.T) *xenHost {
	t.Helper()
	h := &xenHost{t: t, sink: &sink{domains: map[uint16]Domain{}}, path: filepath.Join(t.TempDir(), "socket")}
	h.store = storetest.New()
	h.store.Listen(t, h.path)
	h.tools = h.connect(0)
	return h
}

func (h *xenHost) connect(domid uint16) *xenstore.Conn {
	c := h.store.Connect(domid)
	h.t.Cleanup(func() { c.Close() })
	return c
}

// follow runs a Follower until the test ends.
func (h *xenHost) follow() {
	h.t.Helper()
	h.followInto(h.sink)
}

func (h *xenHost) followInto(s Sink) {
	h.t.Helper()
	f := &Follower{Open: h.open, Sink: s}
	h.follower = f
	ctx, cancel := context.WithCancel(h.t.Context())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	h.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			h.t.Error(err)
		}
		for _, m := range h.mistakes {
			h.t.Error(m)
		}
	})
	until(h.t, "all", func() bool { return strings.Contains(h.said(), "all") })
}

func (h *xenHost) open() (*xenstore.Conn, string, error) {
	conn, err := net.Dial("unix", h.path)
	if err != nil {
		return nil, "", err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last = conn
	return xenstore.New(&observed{conn, h}), "here", nil
}

// lose cuts the Follower's connection.
func (h *xenHost) lose() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last.Close()
}

// observed counts what the Follower asks for. Each request is one Write.
type observed struct {
	net.Conn
	h *xenHost
}

func (o *observed) Write(p []byte) (int, error) {
	time.Sleep(time.Duration(o.h.slow.Load()))
	path, _, _ := strings.Cut(string(p[16:]), "\x00")
	switch op := binary.LittleEndian.Uint32(p); {
	case op == 2 && strings.HasSuffix(path, "/ring-ref"): // XS_READ
		o.h.reads.Add(1)
	case op == 4 && strings.HasSuffix(path, "/"+RingPath): // XS_WATCH
		o.h.watches.Add(1)
	case op == 5 && strings.HasSuffix(path, "/"+RingPath): // XS_UNWATCH
		o.h.watches.Add(-1)
	case op == 7 && o.h.commits != nil: // XS_TRANSACTION_END
		o.h.commits(o.Conn)
	}
	return o.Conn.Write(p)
}

// boot brings a domain up as libxl does: its tree, then the introduction.
func (h *xenHost) boot(id uint16, name, uuid string) {
	h.t.Helper()
	h.put(place(id)+"/vm", "/vm/"+uuid)
	h.perms(place(id)+"/vm", id)
	h.put(place(id)+"/name", name)
	h.perms(place(id)+"/name", id)
	h.store.Introduce(id)
}

func (h *xenHost) put(path, value string) {
	h.t.Helper()
	if err := h.tools.Write(path, value); err != nil {
		h.t.Fatal(err)
	}
}

func (h *xenHost) perms(path string, reader uint16) {
	h.t.Helper()
	if err := h.tools.SetPerms(path, xenstore.Perm{Access: xenstore.None}, xenstore.Perm{Domain: reader, Access: xenstore.ReadOnly}); err != nil {
		h.t.Fatal(err)
	}
}

// offers is what a guestd does.
func offers(t *testing.T, guest *xenstore.Conn, ref, port string) {
	t.Helper()
	if err := guest.Update(func(tx *xenstore.Tx) error {
		if err := tx.Write(RingPath+"/ring-ref", ref); err != nil {
			return err
		}
		return tx.Write(RingPath+"/event-channel", port)
	}); err != nil {
		t.Fatal(err)
	}
}

// is waits until a domain is told to be as it should be.
func (h *xenHost) is(id uint16, what string, so func(Domain) bool) Domain {
	h.t.Helper()
	var d Domain
	until(h.t, fmt.Sprintf("domain %d %s", id, what), func() bool {
		var there bool
		d, there = h.get(id)
		return there && so(d)
	})
	return d
}

func (h *xenHost) offered(id uint16, ref int) Domain {
	h.t.Helper()
	return h.is(id, "offers "+strconv.Itoa(ref), func(d Domain) bool { return d.Offer != nil && int(d.Offer.Ref) == ref })
}

func (h *xenHost) silent(id uint16) {
	h.t.Helper()
	h.is(id, "offers nothing", func(d Domain) bool { return d.Offer == nil })
}

func (h *xenHost) down(id uint16) {
	h.t.Helper()
	until(h.t, "down", func() bool { _, there := h.get(id); return !there })
}

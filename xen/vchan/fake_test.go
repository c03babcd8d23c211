package vchan

import (
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"go.uber.org/goleak"

	"headgate/xen/grant"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// soon bounds every wait for something that is to happen.
const soon = 20 * time.Second

// fakeBell is an event channel between two Conns of one process: events that come
// while one is pending are one event.
type fakeBell struct {
	pending chan struct{}
	poked   chan struct{}
	peer    *fakeBell
	rung    atomic.Int64 // by this side
	waits   atomic.Int64
	pauses  atomic.Int64
	paused  atomic.Int64 // ns asked for
	err     atomic.Pointer[error]
}

func newBells() (a, b *fakeBell) {
	a = &fakeBell{pending: make(chan struct{}, 1), poked: make(chan struct{}, 1)}
	b = &fakeBell{pending: make(chan struct{}, 1), poked: make(chan struct{}, 1), peer: a}
	a.peer = b
	return a, b
}

func post(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (b *fakeBell) ring() error {
	if err := b.err.Load(); err != nil {
		return *err
	}
	b.rung.Add(1)
	post(b.peer.pending)
	return nil
}

func (b *fakeBell) wait() (bool, error) {
	b.waits.Add(1)
	if err := b.err.Load(); err != nil {
		return false, *err
	}
	select {
	case <-b.pending:
		return true, nil
	case <-b.poked:
		return false, nil
	}
}

func (b *fakeBell) pause(d time.Duration) error {
	b.pauses.Add(1)
	b.paused.Add(int64(d))
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-b.poked:
	}
	return nil
}

func (b *fakeBell) poke()        { post(b.poked) }
func (b *fakeBell) close() error { return nil }

// two are both sides of one vchan, and the memory between them. It is ordinary
// memory, so that the race detector watches it.
type two struct {
	page           page
	mem            []byte
	server, client *Conn
	sbell, cbell   *fakeBell
	freed          atomic.Int32
}

func newTwo(t testing.TB, read, write int) *two {
	t.Helper()
	v := offered(t, read, write)
	v.connect(t)
	return v
}

// offered has a server whose client has not come.
func offered(t testing.TB, read, write int) *two {
	t.Helper()
	l, err := chooseLayout(read, write)
	if err != nil {
		t.Fatal(err)
	}
	own := pagesOf(l.left) + pagesOf(l.right)
	words := make([]uint64, (1+own)*grant.PageSize/8)
	v := &two{mem: unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), len(words)*8)}
	v.page = pageOf(v.mem)
	refs := make([]grant.Ref, own)
	for i := range refs {
		refs[i] = grant.Ref(1000 + i)
	}
	v.page.offer(l, refs)
	v.sbell, v.cbell = newBells()
	left, right := l.buffers(v.mem[:grant.PageSize], v.mem[grant.PageSize:])
	v.server, err = newConn(serverRole, v.page, left, right, v.sbell, func() error { v.freed.Add(1); return nil })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { v.server.Close() })
	return v
}

func (v *two) connect(t testing.TB) {
	t.Helper()
	l, refs, err := v.page.accept()
	if err != nil {
		t.Fatal(err)
	}
	for i, ref := range refs {
		if ref != grant.Ref(1000+i) {
			t.Fatalf("grant %d of page %d", ref, i)
		}
	}
	left, right := l.buffers(v.mem[:grant.PageSize], v.mem[grant.PageSize:])
	v.client, err = newConn(clientRole, v.page, right, left, v.cbell, func() error { v.freed.Add(1); return nil })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { v.client.Close() })
	v.page.arrive()
	if err := v.cbell.ring(); err != nil {
		t.Fatal(err)
	}
}

// both runs a test from each side: near is ours.
func both(t *testing.T, f func(t *testing.T, v *two, near, far *Conn)) {
	for _, size := range []int{0, 1 << 16} {
		name := map[int]string{0: "page/", 1 << 16: "64KiB/"}[size]
		t.Run(name+"server", func(t *testing.T) {
			v := newTwo(t, size, size)
			f(t, v, v.server, v.client)
		})
		t.Run(name+"client", func(t *testing.T) {
			v := newTwo(t, size, size)
			f(t, v, v.client, v.server)
		})
	}
}

type result struct {
	n   int
	err error
}

// later is what a call returned, once it has.
func later(f func() (int, error)) <-chan result {
	c := make(chan result, 1)
	go func() { n, err := f(); c <- result{n, err} }()
	return c
}

func await(t testing.TB, c <-chan result) result {
	t.Helper()
	select {
	case r := <-c:
		return r
	case <-time.After(soon):
		t.Fatal("it still waits")
		return result{}
	}
}

// asleep waits until n goroutines wait at the bell of c or behind the one that does.
func asleep(t testing.TB, c *Conn, n int) {
	t.Helper()
	for end := time.Now().Add(soon); ; {
		c.mu.Lock()
		now := 0
		for _, is := range []bool{c.leader != nil, c.reader.follows, c.writer.follows} {
			if is {
				now++
			}
		}
		c.mu.Unlock()
		if now == n {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d wait, not %d", now, n)
		}
		time.Sleep(100 * time.Microsecond)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

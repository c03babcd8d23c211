package libvirt

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"path/filepath"
	"sync"
	"testing"

	rpc "github.com/digitalocean/go-libvirt"
)

// Numbers of libvirt's remote_protocol.x.
const (
	program = 0x20008086

	procOpen       = 1
	procClose      = 2
	procDefine     = 11
	procXML        = 14
	procByName     = 23
	procByUUID     = 24
	procAuthList   = 66
	procPersistent = 151
	procVersion    = 157
	procList       = 273
	procRegister   = 316
	procLifecycle  = 318
	procDeviceGone = 333
	procDeviceNew  = 354
	procMetadata   = 379
)

// fake is a libvirtd with no more in it than a follower asks for. The real one is in
// the integration tests; this one can be made to fail at a point.
type fake struct {
	t        *testing.T
	path     string
	listener net.Listener
	done     sync.WaitGroup

	mu      sync.Mutex
	domains map[rpc.UUID]fakeDomain
	clients map[net.Conn]*fakeClient
	asked   map[uint32]int // how often each procedure was called
	flags   uint32         // with which XML was asked for last
	defined string         // the last definition that was given
	// before is called ahead of each answer and may keep it back. An error is the
	// answer then, or, if it is errHangUp, the connection ends.
	before func(proc uint32, uuid rpc.UUID) error
}

type fakeDomain struct {
	name string
	id   int32
	xml  string
}

type fakeClient struct {
	mu    sync.Mutex
	kinds map[int32]int32 // callback id by kind of event
}

type fakeError uint32

func (e fakeError) Error() string { return "as told" }

const errHangUp fakeError = 0

func startFake(t *testing.T, path string) *fake {
	t.Helper()
	if path == "" {
		path = filepath.Join(t.TempDir(), "libvirt-sock-ro")
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{t: t, path: path, listener: l, domains: map[rpc.UUID]fakeDomain{}, clients: map[net.Conn]*fakeClient{}, asked: map[uint32]int{}}
	f.done.Go(f.accept)
	t.Cleanup(f.stop)
	return f
}

// stop is what the end of a libvirtd is to its clients.
func (f *fake) stop() {
	f.listener.Close()
	f.drop()
	f.done.Wait()
}

// drop ends the connections and goes on.
func (f *fake) drop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.clients {
		c.Close()
	}
}

func (f *fake) accept() {
	for {
		c, err := f.listener.Accept()
		if err != nil {
			return
		}
		f.mu.Lock()
		client := &fakeClient{kinds: map[int32]int32{}}
		f.clients[c] = client
		f.mu.Unlock()
		f.done.Go(func() {
			f.serve(c, client)
			c.Close()
			f.mu.Lock()
			delete(f.clients, c)
			f.mu.Unlock()
		})
	}
}

func (f *fake) serve(c net.Conn, client *fakeClient) {
	var calls sync.WaitGroup
	defer calls.Wait()
	for {
		var head [28]byte
		if _, err := io.ReadFull(c, head[:]); err != nil {
			return
		}
		proc, serial := binary.BigEndian.Uint32(head[12:]), binary.BigEndian.Uint32(head[20:])
		body := make([]byte, binary.BigEndian.Uint32(head[:])-28)
		if _, err := io.ReadFull(c, body); err != nil {
			return
		}
		calls.Go(func() {
			answer, err := f.answer(client, proc, body)
			if err == nil {
				client.send(c, proc, 1, serial, 0, answer)
				return
			}
			var code fakeError
			if !errors.As(err, &code) || code == errHangUp {
				c.Close()
				return
			}
			b := binary.BigEndian.AppendUint32(nil, uint32(code))
			b = binary.BigEndian.AppendUint32(b, 10) // VIR_FROM_QEMU
			b = binary.BigEndian.AppendUint32(b, 1)
			b = binary.BigEndian.AppendUint32(appendString(b, code.Error()), 2)
			client.send(c, proc, 1, serial, 1, b)
		})
	}
}

func (f *fake) answer(client *fakeClient, proc uint32, body []byte) ([]byte, error) {
	var uuid rpc.UUID
	switch proc {
	case procByUUID:
		copy(uuid[:], body)
	case procXML:
		copy(uuid[:], body[len(body)-4-4-16:])
	}
	f.mu.Lock()
	f.asked[proc]++
	before := f.before
	f.mu.Unlock()
	if before != nil {
		if err := before(proc, uuid); err != nil {
			return nil, err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch proc {
	case procAuthList:
		return []byte{0, 0, 0, 1, 0, 0, 0, 0}, nil
	case procVersion:
		return binary.BigEndian.AppendUint64(nil, 9000000), nil
	case procRegister:
		client.mu.Lock()
		defer client.mu.Unlock()
		kind := int32(binary.BigEndian.Uint32(body))
		client.kinds[kind] = kind + 100
		return binary.BigEndian.AppendUint32(nil, uint32(kind+100)), nil
	case procList:
		b := binary.BigEndian.AppendUint32(nil, 0)
		n := uint32(0)
		for uuid, d := range f.domains {
			if d.id > 0 {
				b = appendDomain(b, uuid, d)
				n++
			}
		}
		binary.BigEndian.PutUint32(b, n)
		return binary.BigEndian.AppendUint32(b, n), nil
	case procDefine:
		n := binary.BigEndian.Uint32(body)
		f.defined = string(body[4 : 4+n])
		return appendDomain(nil, uuid, fakeDomain{}), nil
	case procByUUID, procXML:
		if proc == procXML {
			f.flags = binary.BigEndian.Uint32(body[len(body)-4:])
		}
		d, ok := f.domains[uuid]
		if !ok {
			return nil, fakeError(rpc.ErrNoDomain)
		}
		if proc == procByUUID {
			return appendDomain(nil, uuid, d), nil
		}
		return appendString(nil, d.xml), nil
	case procPersistent:
		return []byte{0, 0, 0, 0}, nil
	case procByName:
		return nil, fakeError(rpc.ErrNoDomain)
	}
	return nil, nil
}

func (c *fakeClient) send(conn net.Conn, proc, kind, serial, status uint32, body []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := binary.BigEndian.AppendUint32(nil, uint32(28+len(body)))
	for _, v := range []uint32{program, 1, proc, kind, serial, status} {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	_, _ = conn.Write(append(b, body...)) // whoever has gone does not want it
}

func appendString(b []byte, s string) []byte {
	b = append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...)
	return append(b, make([]byte, -len(s)&3)...)
}

func appendDomain(b []byte, uuid rpc.UUID, d fakeDomain) []byte {
	return binary.BigEndian.AppendUint32(append(appendString(b, d.name), uuid[:]...), uint32(d.id))
}

// uuidOf is that of the n-th domain.
func uuidOf(n int) rpc.UUID {
	var u rpc.UUID
	binary.BigEndian.PutUint32(u[12:], uint32(n))
	return u
}

// set makes a domain run, or not (id -1).
func (f *fake) set(n int, id int32) {
	d := fakeDomain{name: "vm" + string(rune('a'+n%26)), id: id, xml: "<domain"}
	if id > 0 {
		d.xml += " id='" + string('0'+id) + "'"
	}
	d.xml += "><name>" + d.name + "</name></domain>"
	f.put(n, d)
}

func (f *fake) put(n int, d fakeDomain) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.domains[uuidOf(n)] = d
}

func (f *fake) remove(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.domains, uuidOf(n))
}

// meanwhile sets what happens before each answer.
func (f *fake) meanwhile(before func(proc uint32, uuid rpc.UUID) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.before = before
}

func (f *fake) count(proc uint32) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked[proc]
}

// tell sends an event of a domain to all who want it.
func (f *fake) tell(n int, proc uint32, rest ...uint32) {
	kind := map[uint32]int32{procLifecycle: 0, procDeviceGone: 15, procDeviceNew: 19, procMetadata: 23}[proc]
	f.mu.Lock()
	domain := appendDomain(nil, uuidOf(n), f.domains[uuidOf(n)])
	clients := map[net.Conn]*fakeClient{}
	for c, client := range f.clients {
		clients[c] = client
	}
	f.mu.Unlock()
	for c, client := range clients {
		client.mu.Lock()
		id, wanted := client.kinds[kind]
		client.mu.Unlock()
		if !wanted {
			continue
		}
		b := append(binary.BigEndian.AppendUint32(nil, uint32(id)), domain...)
		for _, v := range rest {
			b = binary.BigEndian.AppendUint32(b, v)
		}
		client.send(c, proc, 2, 0, 0, b)
	}
}

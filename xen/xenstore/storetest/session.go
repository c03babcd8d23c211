package storetest

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
)

// message is struct xsd_sockmsg, xs_wire.h.
type message struct{ Type, Req, Tx, Len uint32 }

const most = 4096 // XENSTORE_PAYLOAD_MAX

type watch struct {
	given string // as the client has it
	path  string // absolute
	token string
}

// session is one connection. All but reading and writing happens under the store's
// lock.
type session struct {
	store        *Store
	conn         net.Conn
	domid        uint16
	watches      []watch
	transactions map[uint32]*transaction // nil: void, since a restore
	last         uint32                  // transaction

	ready sync.Cond // there is something to send, or all is over
	queue []byte
	over  bool
}

func newSession(s *Store, conn net.Conn, domid uint16) *session {
	ses := &session{store: s, conn: conn, domid: domid, transactions: make(map[uint32]*transaction)}
	ses.ready.L = &s.mu
	return ses
}

func (ses *session) read() {
	defer func() {
		ses.store.mu.Lock()
		ses.cut()
		ses.store.mu.Unlock()
	}()
	for {
		var m message
		if binary.Read(ses.conn, binary.LittleEndian, &m) != nil || m.Len > most {
			return // one that sends more is cut off
		}
		payload := make([]byte, m.Len)
		if _, err := io.ReadFull(ses.conn, payload); err != nil {
			return
		}
		ses.store.mu.Lock()
		if !ses.store.hung {
			reply, err := ses.handle(m, payload)
			if err != nil {
				m.Type, reply = opError, err.Error()+"\x00"
			}
			ses.send(m, reply)
		}
		ses.store.mu.Unlock()
	}
}

func (ses *session) write() {
	ses.store.mu.Lock()
	defer ses.store.mu.Unlock()
	for !ses.over {
		if len(ses.queue) == 0 {
			ses.ready.Wait()
			continue
		}
		b := ses.queue
		ses.queue = nil
		ses.store.mu.Unlock()
		_, err := ses.conn.Write(b)
		ses.store.mu.Lock()
		if err != nil {
			ses.cut()
		}
	}
}

// cut ends the connection.
func (ses *session) cut() {
	ses.over = true
	ses.ready.Broadcast()
	_ = ses.conn.Close()
	delete(ses.store.sessions, ses)
}

func (ses *session) send(m message, payload string) {
	m.Len = uint32(len(payload))
	var b bytes.Buffer
	_ = binary.Write(&b, binary.LittleEndian, m) // memory takes it
	b.WriteString(payload)
	ses.queue = append(ses.queue, b.Bytes()...)
	ses.ready.Broadcast()
}

// notify sends what a watch says of a change.
func (ses *session) notify(w watch, c change) {
	if under(c.path, w.path) {
		ses.event(w, c.path)
		return
	}
	for _, p := range c.removed {
		if p == w.path {
			ses.event(w, p)
		}
	}
}

// event gives a path as the watch was given: relative, if that was.
func (ses *session) event(w watch, path string) {
	if w.given != w.path {
		path = strings.TrimPrefix(path, home(ses.domid)+"/")
	}
	ses.send(message{Type: opWatchEvent}, path+"\x00"+w.token+"\x00")
}

func (ses *session) restore(to uint16) {
	ses.domid = to
	for id := range ses.transactions {
		ses.transactions[id] = nil
	}
	for i, w := range ses.watches {
		w.path = ses.absolute(w.given)
		ses.watches[i] = w
		ses.send(message{Type: opWatchEvent}, w.given+"\x00"+w.token+"\x00")
	}
}

func (ses *session) absolute(path string) string {
	if strings.HasPrefix(path, "/") || strings.HasPrefix(path, "@") {
		return path
	}
	return home(ses.domid) + "/" + path
}

func (ses *session) watch(given, token string) error {
	w := watch{given: given, path: ses.absolute(given), token: token}
	for _, other := range ses.watches {
		if other == w {
			return refused("EEXIST")
		}
	}
	ses.watches = append(ses.watches, w)
	ses.send(message{Type: opWatchEvent}, given+"\x00"+token+"\x00")
	return nil
}

func (ses *session) unwatch(given, token string) error {
	for i, w := range ses.watches {
		if w.given == given && w.token == token {
			ses.watches = append(ses.watches[:i], ses.watches[i+1:]...)
			return nil
		}
	}
	return refused("ENOENT")
}

func (ses *session) begin() string {
	ses.last++
	ses.transactions[ses.last] = begin(ses.store.tree)
	return strconv.FormatUint(uint64(ses.last), 10)
}

func (ses *session) end(id uint32, commit bool) error {
	x, known := ses.transactions[id]
	delete(ses.transactions, id)
	switch {
	case !known:
		return refused("ENOENT")
	case !commit:
		return nil
	case x == nil || x.conflicts(ses.store.tree):
		return refused("EAGAIN")
	}
	for _, st := range x.steps {
		if err := ses.store.apply(st); err != nil {
			return err
		}
	}
	return nil
}

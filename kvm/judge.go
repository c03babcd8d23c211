package kvm

import (
	"errors"
	"maps"
	"net"
	"slices"
)

// Judge has those who are connected judged by the present Owner, as they were when
// they came by the one of then: who may not be there any more is hung up on, and
// told of and counted as refused; the others notice nothing. It is to be called
// after Owner has begun to say another. A client that is let in meanwhile is judged
// by that one, too.
func (p *Pipe) Judge() {
	if p.opt.Owner == nil {
		return
	}
	for _, c := range p.present() {
		err := p.admit(c)
		if err == nil || errors.Is(err, net.ErrClosed) { // it has gone by itself
			continue
		}
		if p.expel(c) {
			p.refuse(c, err)
			outlast(c.conn)
		}
	}
}

// present are the pipe's clients. Who was admitted before this and is not among
// them does not become one.
func (p *Pipe) present() []*client {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.judged.Add(1)
	return slices.Collect(maps.Values(p.conns))
}

// expel has a client not count any more; false: it has left. It keeps its place
// until its server has ended, for who replaces it is to wait for that.
func (p *Pipe) expel(c *client) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conns[c.conn] != c || c.expelled {
		return false
	}
	c.expelled = true
	return true
}

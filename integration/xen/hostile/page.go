//go:build linux

package main

import (
	"crypto/rand"
	"encoding/binary"
	"strconv"
	"time"

	"headgate/xen/evtchn"
	"headgate/xen/grant"
	"headgate/xen/xenstore"
)

// The fields of struct vchan_interface, xen/io/libxenvchan.h.
const (
	atRightCons = 8
	atRightProd = 12
	atOrders    = 16
	atClientUp  = 20
	atServerUp  = 21
	atNotify    = 22
)

// page is the page of a ring that nobody keeps to the protocol.
type page struct {
	pages  *grant.Pages
	events *evtchn.Conn
	port   evtchn.Port
	b      []byte
}

// offer offers a ring that looks as it should, and waits a while for its client;
// client: it has come.
func offer(store *xenstore.Conn) (p *page, client bool, err error) {
	p = new(page)
	if p.pages, err = grant.Share(dom0, 1); err != nil {
		return nil, false, err
	}
	if p.events, err = evtchn.Open(); err != nil {
		return nil, false, err
	}
	if p.port, err = p.events.BindUnbound(dom0); err != nil {
		return nil, false, err
	}
	p.b = p.pages.Bytes()
	clear(p.b)
	binary.LittleEndian.PutUint16(p.b[atOrders:], 11)
	binary.LittleEndian.PutUint16(p.b[atOrders+2:], 10)
	p.b[atClientUp], p.b[atServerUp], p.b[atNotify] = 2, 1, 1
	err = store.Update(func(tx *xenstore.Tx) error {
		if err := tx.Write(path+"/ring-ref", strconv.Itoa(int(p.pages.Refs()[0]))); err != nil {
			return err
		}
		return tx.Write(path+"/event-channel", strconv.Itoa(int(p.port)))
	})
	if err != nil {
		return nil, false, err
	}
	for range 2000 {
		if p.connected() {
			return p, true, nil
		}
		time.Sleep(time.Millisecond)
	}
	return p, false, nil
}

func (p *page) connected() bool { return p.b[atClientUp] == 1 }

func (p *page) kick() { _ = p.events.Notify(p.port) }

func (p *page) close() {
	p.b[atServerUp] = 0
	p.kick()
	_ = p.pages.Close()
	_ = p.events.Close()
}

// pages offers one page after the other, and does the same to each for as long as
// its client bears it.
func pages(store *xenstore.Conn, do func(p *page)) error {
	for {
		p, client, err := offer(store)
		if err != nil {
			return err
		}
		for client && p.connected() {
			do(p)
		}
		p.close()
	}
}

func kicks(store *xenstore.Conn) error { return pages(store, (*page).kick) }

func hangups(store *xenstore.Conn) error {
	return pages(store, func(p *page) { p.b[atClientUp] = 0 })
}

func seesaw(store *xenstore.Conn) error {
	return pages(store, func(p *page) {
		cons := binary.LittleEndian.Uint32(p.b[atRightCons:])
		binary.LittleEndian.PutUint32(p.b[atRightProd:], cons+1)
		p.kick()
		binary.LittleEndian.PutUint32(p.b[atRightProd:], cons)
		p.kick()
	})
}

func random(store *xenstore.Conn) error {
	return pages(store, func(p *page) {
		_, _ = rand.Read(p.b[:64]) // indexes, orders, live bytes, grants
		p.b[atClientUp] = 1        // or pages would think that it has left
		_, _ = rand.Read(p.b[1024:])
		p.kick()
		time.Sleep(10 * time.Millisecond)
		if p.b[0]&7 == 0 {
			p.b[atClientUp] = 0
		}
	})
}

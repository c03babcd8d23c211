package vchan

import (
	"sync/atomic"
	"unsafe"

	"headgate/xen/grant"
)

// page is the shared page, as both sides see it: words that change at any moment.
// The flags are bytes to libxenvchan; here they are changed by atomic operations on
// the word that they are in, which leave the other three alone.
type page struct{ words *[grant.PageSize / 4]uint32 }

// pageOf views memory that begins with the shared page.
func pageOf(b []byte) page {
	return page{(*[grant.PageSize / 4]uint32)(unsafe.Pointer(&b[:grant.PageSize][0]))}
}

func (p page) load(at int) uint32         { return atomic.LoadUint32(&p.words[at/4]) }
func (p page) store(at int, value uint32) { atomic.StoreUint32(&p.words[at/4], value) }
func (p page) set(bits uint32)            { atomic.OrUint32(&p.words[atFlags/4], bits) }
func (p page) clear(bits uint32)          { atomic.AndUint32(&p.words[atFlags/4], ^bits) }
func (p page) flags() uint32              { return p.load(atFlags) }

// Values of a live byte.
const (
	liveGone    = 0
	liveHere    = 1
	liveAwaited = 2 // the client has not connected yet
)

// Bits of a notify byte: what its owner wants to be told of.
const (
	onWrite = 1 // VCHAN_NOTIFY_WRITE: bytes were written
	onRead  = 2 // VCHAN_NOTIFY_READ: bytes were read, there is room
)

// Where the flags are in their word.
const (
	clientUp     = 0xff
	serverUp     = 0xff00
	clientUpBit  = 0
	serverUpBit  = 8
	clientAskBit = 16 // cli_notify: set by the server, heeded by the client
	serverAskBit = 24 // srv_notify: set by the client, heeded by the server
)

// role is which side of the page this is.
type role struct {
	inCons, inProd   int    // the indices of the ring that is read
	outCons, outProd int    // and of the one that is written
	own, peer        uint32 // masks of the live bytes
	ownBit           int    // where our live byte begins
	ask, heed        int    // where our wishes and the peer's begin
}

var (
	serverRole = role{
		inCons: atLeftCons, inProd: atLeftProd, outCons: atRightCons, outProd: atRightProd,
		own: serverUp, peer: clientUp, ownBit: serverUpBit, ask: clientAskBit, heed: serverAskBit,
	}
	clientRole = role{
		inCons: atRightCons, inProd: atRightProd, outCons: atLeftCons, outProd: atLeftProd,
		own: clientUp, peer: serverUp, ownBit: clientUpBit, ask: serverAskBit, heed: clientAskBit,
	}
)

// offer fills the page in for a client that is to come.
func (p page) offer(l layout, refs []grant.Ref) {
	for at := 0; at < atGrants; at += 4 {
		p.store(at, 0)
	}
	p.store(atOrders, uint32(l.left)|uint32(l.right)<<16)
	for i, ref := range refs {
		p.store(atGrants+4*i, uint32(ref))
	}
	p.set(liveAwaited<<clientUpBit | liveHere<<serverUpBit | onWrite<<clientAskBit)
}

// accept reads, once, what a server says of its rings.
func (p page) accept() (layout, []grant.Ref, error) {
	orders := p.load(atOrders)
	l := layout{left: uint16(orders), right: uint16(orders >> 16)}
	if !l.valid() {
		return layout{}, nil, ErrCorrupt
	}
	refs := make([]grant.Ref, pagesOf(l.left)+pagesOf(l.right))
	for i := range refs {
		refs[i] = grant.Ref(p.load(atGrants + 4*i))
	}
	return l, refs, nil
}

// arrive says that this client is there and wants to be told of bytes. In between,
// the byte is not 0, which would say that it had gone.
func (p page) arrive() {
	p.set(liveHere<<clientUpBit | onWrite<<serverAskBit)
	p.clear(clientUp &^ (liveHere << clientUpBit))
}

package vchan

import "headgate/xen/grant"

// Places of the fields in struct vchan_interface, xen/io/libxenvchan.h. All are
// little-endian, as is every machine that Xen runs on. Left is what the client
// writes, right is what the server writes.
const (
	atLeftCons  = 0
	atLeftProd  = 4
	atRightCons = 8
	atRightProd = 12
	atOrders    = 16 // left_order u16, right_order u16
	atFlags     = 20 // cli_live, srv_live, cli_notify, srv_notify u8
	atClientUp  = 20
	atServerUp  = 21
	atGrants    = 24 // u32 each: the pages of left, then those of right
)

// Orders: a ring has 1<<order bytes. The two small ones have their place in the
// page itself, at 1<<order; the others have pages of their own.
const (
	order1K  = 10
	order2K  = 11
	orderOwn = 12 // and above
	orderMax = 20
)

// layout is where the two rings are.
type layout struct{ left, right uint16 }

// chooseLayout finds the smallest rings of at least so many bytes. What is asked
// for both fits into the page where it can; of two equal ones there, the left one
// is the larger: it is a guest that offers, and it reads more than it writes.
func chooseLayout(left, right int) (layout, error) {
	if max(left, right) > 1<<orderMax {
		return layout{}, errTooLarge
	}
	l := layout{orderFor(left), orderFor(right)}
	switch {
	case l.left == order1K && l.right == order1K:
		l.left = order2K
	case l.left == order2K && l.right == order2K:
		l.right = orderOwn
	}
	// A long list of grants can reach into the smaller place.
	if !l.valid() && l.left == order1K {
		l.left = order2K
	}
	if !l.valid() && l.right == order1K {
		l.right = order2K
	}
	return l, nil
}

func orderFor(size int) uint16 {
	order := uint16(order1K)
	for 1<<order < size {
		order++
	}
	return order
}

// valid says whether the rings and the list of grants lie beside each other.
func (l layout) valid() bool {
	for _, order := range [...]uint16{l.left, l.right} {
		if order < order1K || order > orderMax {
			return false
		}
	}
	if l.left == l.right && l.left < orderOwn {
		return false
	}
	end := grant.PageSize
	if first := min(l.left, l.right); first < orderOwn {
		end = 1 << first
	}
	return atGrants+4*(pagesOf(l.left)+pagesOf(l.right)) <= end
}

// pagesOf is how many pages of its own a ring has.
func pagesOf(order uint16) int {
	if order < orderOwn {
		return 0
	}
	return 1 << (order - orderOwn)
}

// buffers cuts the two rings out of the page and out of their own pages, which
// follow each other.
func (l layout) buffers(page, own []byte) (left, right []byte) {
	cut := func(order uint16) []byte {
		size := 1 << order
		if order < orderOwn {
			return page[size : 2*size : 2*size]
		}
		ring := own[:size:size]
		own = own[size:]
		return ring
	}
	left = cut(l.left)
	return left, cut(l.right)
}

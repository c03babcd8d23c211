package config

// Host says whether hostd feeds the pool of its own host's kernel, which containers
// share.
type Host struct {
	Feed  bool
	Class string // whose limits and quality its bytes have
}

func defaultHost() Host { return Host{Class: DefaultClass} }

func (h *Host) fields() fields {
	return fields{
		"feed":  boolean(&h.Feed),
		"class": text(&h.Class, nil),
	}
}

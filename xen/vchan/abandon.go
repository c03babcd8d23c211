package vchan

import "sync"

// A domain that was saved and goes on, restored or on another host, has none of its
// event channels any more. Its kernel binds those of its own drivers anew and forgets
// those of /dev/xen/evtchn, but not that a process has them: to unbind one, or to
// close the descriptor, is then a BUG_ON in Linux' drivers/xen/evtchn.c (seen with
// 6.1), or takes the port from a driver that was given it since. The notification
// that a page has on its unmapping does the same harm.

// abandoned are the Conns that nobody may close, nor the collector of garbage.
var abandoned struct {
	sync.Mutex
	conns []*Conn
}

// Abandon is Close for a server whose domain was resumed since Listen: the nodes and
// the peer are not those that it had. It wakes whoever waits, and tells nobody. The
// page, the port and the descriptors stay with this process, whose end does that harm
// all the same: offers are to be short.
func (c *Conn) Abandon() error {
	return c.shut(func() error {
		abandoned.Lock()
		defer abandoned.Unlock()
		abandoned.conns = append(abandoned.conns, c)
		return nil
	})
}

package xenstore

import (
	"errors"
	"syscall"
	"time"
)

const (
	attempts   = 50                    // of one Update
	firstPause = time.Millisecond      // after a second conflict; longer after each
	longPause  = 20 * time.Millisecond // but not than this
)

// Tx is a transaction: its reads see the tree as it was at one moment, and its
// writes happen together or not at all. It is over when the function that Update
// calls returns, and is for one goroutine at a time.
type Tx struct{ tree }

var errConflicts error = &because{
	text: "others have changed the same nodes again and again: try later",
	err:  syscall.EAGAIN,
}

// Update calls f with a transaction and commits it, or aborts it when f returns an
// error, which Update then returns. When others changed meanwhile what f read or
// wrote, f is called again, with a new transaction and a bounded number of times: a
// guest that writes as fast as it can may hold up those who update its nodes, and
// they are told so by an error that is syscall.EAGAIN.
func (c *Conn) Update(f func(*Tx) error) error {
	var pause time.Duration
	for range attempts {
		err := c.attempt(f)
		if !errors.Is(err, errAgain) {
			return err
		}
		if !c.rest(pause) {
			break
		}
		pause = min(pause+firstPause, longPause)
	}
	err := c.Err()
	if err == nil {
		err = errConflicts
	}
	return &Error{Op: "update", Err: err}
}

var errAgain = errors.New("conflict")

// attempt is one transaction. It returns errAgain itself when the commit conflicts.
func (c *Conn) attempt(f func(*Tx) error) error {
	b, err := c.ask(opTransactionStart, 0, nul)
	if err != nil {
		return &Error{Op: "begin transaction", Err: err}
	}
	id, ok := parseTransaction(b)
	if !ok {
		return &Error{Op: "begin transaction", Err: protocolError("a transaction")}
	}
	tx := &Tx{tree{conn: c, tx: id}}
	defer func() {
		if !tx.over { // f failed, or has panicked
			tx.over = true
			_, _ = c.ask(opTransactionEnd, id, "F"+nul)
		}
	}()
	if err := f(tx); err != nil {
		return err
	}
	tx.over = true
	b, err = c.ask(opTransactionEnd, id, "T"+nul)
	switch {
	case errors.Is(err, syscall.EAGAIN):
		return errAgain
	case err != nil:
		return &Error{Op: "commit", Err: err}
	}
	return checkOK("commit", "", b)
}

// rest waits, and says whether the connection is still there.
func (c *Conn) rest(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-c.done:
		return false
	}
}

package control

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"time"
)

// errorTrailer tells why a capture ended early: its status was sent long before.
const errorTrailer = "Headgate-Error"

// unhurried lifts the deadlines of a request that may take long. The client
// still ends it by hanging up, and the daemon by stopping.
func unhurried(w http.ResponseWriter) *http.ResponseController {
	c := http.NewResponseController(w)
	_ = c.SetReadDeadline(time.Time{}) // else the context would end with it
	_ = c.SetWriteDeadline(time.Time{})
	return c
}

// events writes one event a line: those after since, and with follow=1 all that
// come, until the client goes.
func (a api) events(w http.ResponseWriter, r *http.Request) {
	since, err := number(r, "since", 0, math.MaxUint64, 0)
	if err != nil {
		fail(w, err)
		return
	}
	list, follower := a.daemon.Events().Follow(since)
	defer follower.Close()
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.WriteHeader(http.StatusOK)
	lines := json.NewEncoder(w)
	for _, e := range list {
		if lines.Encode(e) != nil {
			return
		}
	}
	if r.URL.Query().Get("follow") != "1" {
		return
	}
	// No deadline: one who reads slowly misses events and is told, as the
	// Follower promises.
	out := unhurried(w)
	for out.Flush() == nil {
		select {
		case <-r.Context().Done():
			return
		case e, open := <-follower.C:
			if !open || lines.Encode(e) != nil {
				return
			}
		}
	}
}

func (a api) testSource(w http.ResponseWriter, r *http.Request) {
	n, err := number(r, "n", MinTest, MaxTest, DefaultTest)
	if err != nil {
		fail(w, err)
		return
	}
	out := unhurried(w)
	test, err := a.daemon.TestSource(r.Context(), r.PathValue("name"), int(n))
	_ = out.SetWriteDeadline(time.Now().Add(answerTimeout))
	if err != nil {
		fail(w, err)
		return
	}
	answer(w, http.StatusOK, test)
}

// captureSource streams raw samples as they come, with restarts=N those of restarts.
func (a api) captureSource(w http.ResponseWriter, r *http.Request) {
	longest, usual := uint64(MaxCapture), uint64(DefCapture)
	restarts, err := number(r, "restarts", 1, MaxRestarts, 0)
	if restarts > 0 {
		longest, usual = min(MaxRow, MaxCapture/restarts), DefRow
	}
	n, wrong := number(r, "n", 1, longest, usual)
	if err = cmp.Or(err, wrong); err != nil {
		fail(w, err)
		return
	}
	c := &capture{w: w, out: unhurried(w)}
	if restarts > 0 {
		err = a.daemon.CaptureRestarts(r.Context(), r.PathValue("name"), int(restarts), int(n), c)
		n *= restarts
	} else {
		err = a.daemon.CaptureSource(r.Context(), r.PathValue("name"), int(n), c)
	}
	switch {
	case err == nil && c.written != n:
		err = fmt.Errorf("the source gave %d of %d bytes", c.written, n)
		fallthrough
	case err != nil && c.written > 0:
		w.Header().Set(errorTrailer, oneLine(err))
	case err != nil:
		fail(w, err)
	}
}

// capture sends its header with the first bytes, so that an error before them
// still has a status of its own.
type capture struct {
	w       http.ResponseWriter
	out     *http.ResponseController
	written uint64
}

func (c *capture) Write(p []byte) (int, error) {
	if c.written == 0 {
		c.w.Header().Set("Content-Type", "application/octet-stream")
		c.w.Header().Set("Trailer", errorTrailer)
	}
	_ = c.out.SetWriteDeadline(time.Now().Add(answerTimeout))
	n, err := c.w.Write(p)
	c.written += uint64(n)
	if err != nil {
		return n, err
	}
	return n, c.out.Flush()
}

package daemon

import "time"

// lateness is how much later than that of a domain's end hostd may come to a call
// that was made before it.
const lateness = time.Minute

// ends remembers for a while when domains ended, so that what was told before that
// and comes later does not bring them back.
type ends struct {
	of     map[string]end // by UUID
	listed time.Time      // when all were, but those that are known
	swept  time.Time
}

// end is one of them, and when hostd came to know of it.
type end struct{ at, noted time.Time }

// maxEnds bounds what is remembered. Domains that end faster are forgotten at
// once; libvirt, asked again, says that they are gone.
const maxEnds = 1 << 14

func (e *ends) note(uuid string, at, now time.Time) {
	if now.Sub(e.swept) > lateness {
		e.swept = now
		for uuid, one := range e.of {
			if now.Sub(one.noted) > lateness {
				delete(e.of, uuid)
			}
		}
	}
	if before, there := e.of[uuid]; !there && len(e.of) >= maxEnds || at.Before(before.at) {
		return
	}
	if e.of == nil {
		e.of = map[string]end{}
	}
	e.of[uuid] = end{at, now}
}

// after says whether a domain that is not known has been seen to be none after a time.
func (e *ends) after(uuid string, at time.Time) bool {
	return e.of[uuid].at.After(at) || e.listed.After(at)
}

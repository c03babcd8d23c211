package daemon

import "time"

// ends remembers for a while when domains ended, so that what was told before that
// and comes later does not bring them back.
type ends struct {
	at     map[string]time.Time // by UUID
	listed time.Time            // when all were, but those that are known
	swept  time.Time
}

// maxEnds bounds what is remembered. Domains that end faster are forgotten at
// once; libvirt, asked again, says that they are gone.
const maxEnds = 1 << 14

func (e *ends) note(uuid string, at, now time.Time) {
	if now.Sub(e.swept) > lateness {
		e.swept = now
		for uuid, at := range e.at {
			if now.Sub(at) > lateness {
				delete(e.at, uuid)
			}
		}
	}
	if before, there := e.at[uuid]; !there && len(e.at) >= maxEnds || at.Before(before) {
		return
	}
	if e.at == nil {
		e.at = map[string]time.Time{}
	}
	e.at[uuid] = at
}

// after says whether a domain that is not known has been seen to be none after a time.
func (e *ends) after(uuid string, at time.Time) bool {
	return e.at[uuid].After(at) || e.listed.After(at)
}

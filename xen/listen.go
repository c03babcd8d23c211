package xen

import "time"

// How long a guest is not listened to that writes its offer without end. Each time it
// takes twice as long. Meanwhile what it offers is looked at every paceStorm.
const (
	minDeaf = 5 * time.Second
	maxDeaf = time.Minute
)

// listen turns the signals of a domain's watches into hints, until it has gone. Its
// name is domain 0's, and listened to always; what the guest itself writes, it pays
// for with its patience.
func (s *session) listen(f *follow) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	defer func() { // UNWATCH
		f.name.Close()
		f.ring.Close()
	}()
	var (
		pace  pace
		ring  = f.ring.C // nil: it is not listened to
		wait  <-chan time.Time
		deaf  = minDeaf
		until time.Time // when there is to be a watch again; zero: there is one
	)
	after := func(d time.Duration) {
		timer.Reset(d)
		ring, wait = nil, timer.C
	}
	for {
		select {
		case <-s.over:
			return
		case <-f.gone:
			return
		case <-f.name.C:
			s.hint(hint{follow: f})
			continue
		case <-ring:
			s.hint(hint{follow: f, ring: true})
			now := time.Now()
			switch d := pace.took(now); {
			case d >= paceStorm:
				f.ring.Close()
				until = now.Add(deaf)
				deaf = min(2*deaf, maxDeaf)
				after(paceStorm)
			case d > 0:
				after(d)
			case pace.calm():
				deaf = minDeaf
			}
			continue
		case <-wait:
		}
		now := time.Now()
		switch {
		case until.IsZero():
		case now.Before(until):
			s.hint(hint{follow: f, ring: true})
			after(paceStorm)
			continue
		default:
			w, err := s.conn.Watch(ringPath(f.id))
			if err != nil {
				until = now.Add(deaf)
				after(paceStorm)
				continue
			}
			f.ring, until = w, time.Time{}
			pace.probe(now)
		}
		ring, wait = f.ring.C, nil
	}
}

// hint hands a hint over. It waits until it is taken, so that there is at most one of
// each domain.
func (s *session) hint(h hint) {
	select {
	case s.hints <- h:
	case <-h.gone:
	case <-s.over:
	}
}

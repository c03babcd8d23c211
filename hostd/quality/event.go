package quality

import "time"

// Event is something to tell about a guest's DRBG.
type Event struct {
	Kind  Kind
	Seeds uint64        // how often it was seeded so far
	Age   time.Duration // of the seed that it had
}

// Kind says what happened.
type Kind int

// What can happen.
const (
	Seeded    Kind = iota // the DRBG was instantiated
	Reseeded              // told once in a while: Seeds says how often it happened
	Stale                 // there was no seed for max_stale: it gives nothing any more
	Recovered             // it was stale, and is seeded again
	ToDRBG                // of full-then-drbg: the guest gets bytes of the DRBG
	ToFull                // of full-then-drbg: it has got bytes of the reservoir alone for a while
)

func (k Kind) String() string {
	switch k {
	case Seeded:
		return "seeded"
	case Reseeded:
		return "reseeded"
	case Stale:
		return "stale"
	case Recovered:
		return "recovered"
	case ToDRBG:
		return "to_drbg"
	case ToFull:
		return "to_full"
	}
	return "unknown"
}

// awhile is how much time is between two Reseeded, and how long a guest gets no bytes
// of a DRBG before that is told: a busy one is reseeded hundreds of times a second, and
// one at its limit changes with every request.
const awhile = time.Minute

package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"sync"

	"headgate/hostd/control"
	"headgate/hostd/events"
	"headgate/ratelimit"
)

// maxSeedNames bounds what is remembered of whose seeds have been given. Only who may
// write to the control socket makes up names.
const maxSeedNames = 1 << 16

// seeds counts them.
type seeds struct {
	mu    sync.Mutex
	given uint64
	of    map[string]uint64 // by name
}

// next is the number of the seed that is about to be given to a name; 0: it is one
// name too many to be remembered.
func (s *seeds) next(name string) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of[name] == 0 && len(s.of) >= maxSeedNames {
		return 0
	}
	if s.of == nil {
		s.of = map[string]uint64{}
	}
	s.of[name]++
	return s.of[name]
}

func (s *seeds) gave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.given++
}

func (s *seeds) total() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.given
}

// seedLimits are those of a seed's own tap: where the supply is short it has the share
// of a guest of weight 1, as long as it takes.
var seedLimits = ratelimit.Limits{Weight: 1}

// GiveSeed waits for the bytes of a seed as a guest does, and gives them to one caller.
// What had come when that one left before its end is wiped, and nobody has it.
func (d *Daemon) GiveSeed(ctx context.Context, r control.SeedRequest, give func(count uint64, seed []byte) error) error {
	tap := d.scheduler.NewTap(seedLimits)
	defer tap.Close()
	seed := make([]byte, control.SeedSize)
	defer clear(seed)
	for had := 0; had < len(seed); {
		n, err := tap.ReadContext(ctx, seed[had:])
		if err != nil {
			return err
		}
		had += n
	}
	count := d.seeds.next(r.For)
	e := events.Event{Level: slog.LevelInfo, Kind: "seed_given", Subject: r.For, Message: "a seed was given, for " + r.For + " alone",
		Fields: map[string]string{"as": r.As, "count": strconv.FormatUint(count, 10)}}
	err := give(count, seed)
	if err != nil {
		e.Level, e.Kind = slog.LevelWarn, "seed_lost"
		e.Message = fmt.Sprintf("a seed was lost on its way: %v; nobody else gets it", err)
	} else {
		d.seeds.gave()
	}
	d.log.Add(e)
	return err
}

package daemon

import "context"

// token tells one task that something has changed.
type token chan struct{}

func newToken() token { return make(token, 1) }

// tell wakes the task, or has it look once more when it is done. It does not wait.
func (t token) tell() {
	select {
	case t <- struct{}{}:
	default:
	}
}

// each runs f until ctx is done, and anew whenever something has changed: then f's
// context is done first.
func (t token) each(ctx context.Context, f func(context.Context)) error {
	for ctx.Err() == nil {
		inner, stop := context.WithCancel(ctx)
		done := make(chan struct{})
		go func() {
			defer close(done)
			f(inner)
		}()
		select {
		case <-ctx.Done():
		case <-t:
		}
		stop()
		<-done
	}
	return nil
}

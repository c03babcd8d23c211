package wire

import "context"

// A Tap is one guest's metered outlet, as the protocols see it. Every byte that
// it gives is fresh and given once; whoever took it zeroes it after use.
//
// A Tap may be shared by several connections; its methods are safe for
// concurrent use.
type Tap interface {
	// TryRead fills p with up to len(p) bytes that can be had now and returns
	// how many. It never blocks.
	TryRead(p []byte) int

	// ReadContext blocks until at least one byte is granted, and returns how
	// many of the bytes of p it filled. It returns ctx.Err() once ctx is done
	// and os.ErrClosed once the tap is closed; then it has granted nothing.
	ReadContext(ctx context.Context, p []byte) (int, error)

	// Available returns how many bytes TryRead could give now. It is a hint:
	// another taker may be quicker.
	Available() int
}

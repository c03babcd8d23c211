// Package reservoir turns the raw samples of physical noise sources into
// full-entropy bytes and keeps them in locked memory until each is handed out,
// once.
//
// It promises that
//
//   - entropy is never invented: a block of 64 bytes is finished only when at
//     least MinSources sources of different origin have each brought 576 bits of
//     assessed min-entropy into it, and what is over is not carried on;
//   - a byte comes out of Take once, and is zero in memory when Take returns;
//   - the bytes are in memory that is never swapped, never in a core dump and
//     never seen by a forked child;
//   - Take never blocks, never locks and never allocates, however many call it.
package reservoir

// Package reservoir turns the raw samples of physical noise sources into
// full-entropy bytes and keeps them in locked memory until each is handed out,
// once.
//
// It promises that
//
//   - entropy is never invented: a block of 64 bytes is finished only when at
//     least MinSources sources of different origin have each brought 576 bits of
//     assessed min-entropy into it by itself, and what is over is not carried on, so
//     that who knows or chooses all that the others bring can predict nothing;
//   - what a source brought that failed a test counts for nothing in the block that is
//     in work. It stays mixed in, where it can take nothing away from the others. What
//     one brought that has only gone away was tested, and counts in that one block;
//   - what is not credited makes no block, and no block waits for it;
//   - a byte comes out of Take once, and is zero in memory when Take returns;
//   - the bytes are in memory that is never swapped, never in a core dump and
//     never seen by a forked child;
//   - Take never blocks, never locks and never allocates, however many call it;
//   - nothing is handed out where SHA-512, SHA-384 or the DRBG compute wrongly: New
//     fails when SelfTest does.
//
// A DRBG is for who wants more than that: each is seeded from here and is one guest's.
package reservoir

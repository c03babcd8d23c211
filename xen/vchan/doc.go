// Package vchan is a stream of bytes between two Xen domains over shared memory, as
// libxenvchan has it (xen/io/libxenvchan.h), in both roles: Listen offers, Dial
// connects. It speaks with libxenvchan.
//
// It keeps these promises: nothing that the peer can write is trusted. Orders and
// grants are read once; each index is read once a turn, must lie where the peer may
// have moved it to, and ends this Conn alone where it does not (ErrCorrupt). A byte
// that Read took is zero in the shared memory before the peer may reuse its place. A
// peer that sends events without moving anything costs a bounded share of the
// processor. Close wakes a Read and a Write that wait, and gives pages and ports
// back before it returns; when the process dies, the kernel does so and tells the
// peer. Read and Write allocate nothing, and an idle Conn needs no thread.
package vchan

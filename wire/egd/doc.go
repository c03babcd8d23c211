// Package egd speaks the protocol of the Entropy Gathering Daemon, as QEMU's
// rng-egd and other people's clients do: one-byte opcodes, big-endian, no
// framing around the bytes of a blocking read.
//
//	opcode  request            answer
//	00      -                  u32 bits available
//	01      u8 n               u8 m, m bytes, m <= n: what can be had at once
//	02      u8 n               exactly n bytes, as soon as they are granted
//	03      u16 bits, u8 n,    none: a client pushes entropy, which is
//	        n bytes            counted and dropped, never trusted
//	04      -                  u8 length, process id as text
//
// What the server promises: it answers in order and never with a byte more or
// less than asked; a client that does not read never stops it from draining
// that client's requests, for QEMU writes them with a blocking write on its
// main thread; a flood costs a fixed amount of memory; every byte that it held
// is zeroed when it is sent, or when the connection ends.
package egd

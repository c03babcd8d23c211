package guard

// The object is compiled by Debian's clang, and committed: nobody needs a compiler to
// build hostd. It depends on no kernel's structures, so that one fits all.
//
//go:generate go tool bpf2go -cc clang-14 -strip llvm-strip-14 -target bpfel -cflags "-O2 -g -Wall -Werror -mcpu=v3 -I/usr/include/x86_64-linux-gnu" -type try program guard.c

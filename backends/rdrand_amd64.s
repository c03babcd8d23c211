#include "textflag.h"

// func rdseed(tries int) (v uint64, ok bool)
TEXT ·rdseed(SB), NOSPLIT, $0-17
	MOVQ tries+0(FP), CX

try:
	RDSEEDQ AX
	JCS     done // the carry flag says that AX is valid
	PAUSE
	DECQ    CX
	JNZ     try
	MOVQ    $0, v+8(FP)
	MOVB    $0, ok+16(FP)
	RET

done:
	MOVQ AX, v+8(FP)
	MOVB $1, ok+16(FP)
	RET

// func rdrand(tries int) (v uint64, ok bool)
TEXT ·rdrand(SB), NOSPLIT, $0-17
	MOVQ tries+0(FP), CX

try:
	RDRANDQ AX
	JCS     done // the carry flag says that AX is valid
	PAUSE
	DECQ    CX
	JNZ     try
	MOVQ    $0, v+8(FP)
	MOVB    $0, ok+16(FP)
	RET

done:
	MOVQ AX, v+8(FP)
	MOVB $1, ok+16(FP)
	RET

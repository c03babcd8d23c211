#include "textflag.h"

// func rndrrs(tries int) (v uint64, ok bool)
TEXT ·rndrrs(SB), NOSPLIT, $0-17
	MOVD tries+0(FP), R1

try:
	MRS  RNDRRS, R0
	BNE  done // the Z flag says that there was no value
	YIELD
	SUBS $1, R1
	BNE  try
	MOVD ZR, v+8(FP)
	MOVB ZR, ok+16(FP)
	RET

done:
	MOVD R0, v+8(FP)
	MOVD $1, R2
	MOVB R2, ok+16(FP)
	RET

// func rndr(tries int) (v uint64, ok bool)
TEXT ·rndr(SB), NOSPLIT, $0-17
	MOVD tries+0(FP), R1

try:
	MRS  RNDR, R0
	BNE  done // the Z flag says that there was no value
	YIELD
	SUBS $1, R1
	BNE  try
	MOVD ZR, v+8(FP)
	MOVB ZR, ok+16(FP)
	RET

done:
	MOVD R0, v+8(FP)
	MOVD $1, R2
	MOVB R2, ok+16(FP)
	RET

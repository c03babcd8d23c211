#include "textflag.h"

// func timeStamp() uint64
TEXT ·timeStamp(SB), NOSPLIT, $0-8
	DSB  $9 // ISHLD: the loads before it are done (Arm ARM, DSB)
	ISB  $15 // and it is not read early (Arm ARM, CNTVCT_EL0)
	MRS  CNTVCT_EL0, R0
	MOVD R0, ret+0(FP)
	RET

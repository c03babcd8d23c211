package meter

import "headgate/hostd/probe"

// hook is where one way is counted.
type hook struct {
	way Way
	// functions are the names that its function has had, the newest first.
	functions []probe.Function
	// beside is counted too where it is there: another entrance to the same.
	beside []probe.Function
	absent string // what it means if there is no function
}

// hooks are in the order of Ways, which is that of meter.c.
//
// The files' functions in drivers/char/random.c became random_read_iter and
// urandom_read_iter in Linux 5.19, and in the stable releases of 5.15.
var hooks = []hook{
	{
		way:       HWRNG,
		functions: []probe.Function{{Name: "rng_dev_read", Return: "hwrng_exit", KReturn: "hwrng_kret"}},
		absent:    "the kernel's module rng_core was not loaded when hostd started; once it is, restart hostd",
	},
	{
		way: Random,
		functions: []probe.Function{
			{Name: "random_read_iter", Return: "random_exit", KReturn: "random_kret"},
			{Name: "random_read", Return: "random_exit_old", KReturn: "random_kret"},
		},
	},
	{
		way: Urandom,
		functions: []probe.Function{
			{Name: "urandom_read_iter", Return: "urandom_exit", KReturn: "urandom_kret"},
			{Name: "urandom_read", Return: "urandom_exit_old", KReturn: "urandom_kret"},
		},
	},
	{
		way: Getrandom,
		functions: []probe.Function{
			{Name: "__x64_sys_getrandom", Return: "getrandom_exit", KReturn: "getrandom_kret"},
			{Name: "__arm64_sys_getrandom", Return: "getrandom_exit", KReturn: "getrandom_kret"},
		},
		// Of 32-bit programs on amd64; on arm64 theirs is the same.
		beside: []probe.Function{
			{Name: "__ia32_sys_getrandom", Return: "getrandom_exit", KReturn: "getrandom_kret"},
		},
	},
}

package meter

import (
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"headgate/hostd/probe"
)

// setLeader tells the programs where a process's own name is. They do without: then
// a thread that has another name has a row of its own.
func setLeader(spec *ebpf.CollectionSpec, types *btf.Cache) error {
	kernel, err := types.Kernel()
	if err != nil {
		return fmt.Errorf("types of the kernel: %w", err)
	}
	var task *btf.Struct
	if err := kernel.TypeByName("task_struct", &task); err != nil {
		return fmt.Errorf("types of the kernel: %w", err)
	}
	for _, m := range []struct{ name, variable string }{
		{"group_leader", meterVarLeaderAt},
		{"comm", meterVarCommAt},
	} {
		at, found := probe.Member(task.Members, m.name)
		if !found {
			return fmt.Errorf("types of the kernel: no task_struct.%s", m.name)
		}
		if err := spec.Variables[m.variable].Set(at); err != nil {
			return err
		}
	}
	return nil
}

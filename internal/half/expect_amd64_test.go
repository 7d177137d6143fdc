//go:build amd64 && !purego

package half

import "golang.org/x/sys/cpu"

func expectedKernel() string {
	switch {
	case cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512DQ && cpu.X86.HasAVX512VL:
		return "AVX512"
	case cpu.X86.HasAVX2:
		return "AVX2"
	}
	return "generic"
}

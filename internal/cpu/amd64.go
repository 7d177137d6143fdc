//go:build amd64 && !purego

package cpu

import "golang.org/x/sys/cpu"

// What the processor and the system have.
var (
	AVX2F16C = cpu.X86.HasAVX2 && cpu.X86.HasF16C && cpu.X86.HasFMA && cpu.X86.HasOSXSAVE
	AVX512   = AVX2F16C && cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512DQ && cpu.X86.HasAVX512VL
)

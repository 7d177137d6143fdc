//go:build amd64 && !purego

package cpu

import "golang.org/x/sys/cpu"

// The sets of instructions that both the processor and the operating system
// support.
var (
	// AVX2F16C reports AVX2 together with F16C and FMA.
	AVX2F16C = cpu.X86.HasAVX2 && cpu.X86.HasF16C && cpu.X86.HasFMA && cpu.X86.HasOSXSAVE

	// AVX512 reports AVX2F16C together with AVX-512 F, BW, DQ and VL.
	AVX512 = AVX2F16C && cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512DQ && cpu.X86.HasAVX512VL
)

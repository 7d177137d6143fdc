//go:build amd64 && !purego

package half

import "github.com/koala-go/sdk/internal/cpu"

//go:generate go -C asm run . -out ../zz_kernels_amd64.s -stubs ../zz_kernels_amd64.go -table ../zz_tables_amd64.go -pkg half

func available() []*kernels {
	switch {
	case cpu.AVX512:
		return []*kernels{&kernelsAVX512, &kernelsAVX2}
	case cpu.AVX2F16C:
		return []*kernels{&kernelsAVX2}
	}
	return nil
}

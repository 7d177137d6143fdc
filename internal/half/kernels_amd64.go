//go:build amd64 && !purego

package half

import "github.com/koala-go/sdk/internal/cpu"

func available() []*kernels {
	switch {
	case cpu.AVX512:
		return []*kernels{&kernelsAVX512, &kernelsAVX2}
	case cpu.AVX2F16C:
		return []*kernels{&kernelsAVX2}
	}
	return nil
}

//go:build arm64 && !purego

package half

func available() []*kernels { return []*kernels{&kernelsNEON} } // every arm64 processor has NEON

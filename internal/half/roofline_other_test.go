//go:build !amd64 || purego

package half

import "testing"

func rooflines(b *testing.B, n int, x, y, dst []byte) {}

func readRooflines(b *testing.B, w []byte) {}

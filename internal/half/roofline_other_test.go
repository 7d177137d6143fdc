//go:build !amd64 || purego

package half

import (
	"testing"

	"github.com/koala-go/sdk/dtype"
)

func rooflines(b *testing.B, n int, x, y, dst []byte) {}

// readOnly reads the weights in Go.
func readOnly(w []byte) { FirstNonFinite(w, dtype.F16) }

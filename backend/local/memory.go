package local

import (
	"fmt"

	"github.com/koala-go/sdk/weights"
)

// Unwrap returns a *weights.MemoryError if the weights do not fit into the free
// memory, and otherwise nil.
func (e *SlowError) Unwrap() error {
	if e.Memory <= 0 || e.Bytes <= e.Memory {
		return nil
	}
	return &weights.MemoryError{
		What: fmt.Sprintf("model %s", e.Path), Need: e.Bytes, Limit: e.Memory,
		Cure: "write it as GGUF, and let llama.cpp quantize and serve it",
	}
}

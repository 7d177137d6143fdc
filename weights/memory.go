package weights

import "fmt"

// MemoryError reports that a job needs more memory than it may use. Packages
// that work on whole checkpoints return it: diff and forward for a limit in
// their options, backend/local for the free memory of the machine.
type MemoryError struct {
	// What is the job: "reading the weights".
	What string
	// Need and Limit are in bytes.
	Need, Limit int64
	// Cure is the advice what to do.
	Cure string
}

// Error returns a message of the form "what: where: what to do".
func (e *MemoryError) Error() string {
	return fmt.Sprintf("%s needs %d KiB: the limit is %d KiB: %s", e.What, (e.Need+1023)>>10, e.Limit>>10, e.Cure)
}

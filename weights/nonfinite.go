package weights

import "fmt"

// NonFiniteError reports a number that is infinite or NaN. Packages diff and
// forward return it too.
type NonFiniteError struct {
	// What is the kind of number: "a weight" for an element as a file stores it,
	// "a result" for an element that was computed to be written, "a product" for
	// a number that a forward pass computed with the tensor.
	What string
	// Tensor is the name of the tensor, as its file names it.
	Tensor string
	// Index is the index of the element in row-major order, in the layout of
	// the file that is written or, in a forward pass, in Meta's layout. It is
	// -1 for a product: the elements of the tensor are finite then, and too
	// large.
	Index int64
	// Cure is the advice what to do.
	Cure string
}

// Error returns a message of the form "what: where: what to do".
func (e *NonFiniteError) Error() string {
	if e.Index < 0 {
		return fmt.Sprintf("%s is infinite or NaN: tensor %q: %s", e.What, e.Tensor, e.Cure)
	}
	return fmt.Sprintf("%s is infinite or NaN: tensor %q, element %d: %s", e.What, e.Tensor, e.Index, e.Cure)
}

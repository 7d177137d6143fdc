package koala

import "unsafe"

// view is a buffer as a string, for one call that keeps nothing of it: the
// tokenizer copies what it remembers. string(b) is the safe way, and allocates.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

package koala

import "unsafe"

// unsafeString returns b as a string without copying it, unlike string(b), which
// allocates. Pass the result only to a function that does not keep it, because b
// is overwritten later: the tokenizer copies what it caches.
func unsafeString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

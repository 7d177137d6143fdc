package dataset

import (
	"crypto/sha256"
	"encoding/binary"
)

// hash64 returns the first 8 bytes of the SHA-256 of the seed and the data, as a
// little-endian number. It is the same in every run and on every machine.
func hash64(seed uint64, data []byte) uint64 {
	h := sha256.New()
	h.Write(binary.LittleEndian.AppendUint64(nil, seed))
	h.Write(data)
	return binary.LittleEndian.Uint64(h.Sum(nil))
}

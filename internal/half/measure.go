package half

import (
	"math"

	"github.com/koala-go/sdk/dtype"
)

// Magnitude says how large the elements of an array are.
type Magnitude struct {
	Count      int
	NonFinite  int     // how many are infinite or NaN; the rest leaves them out
	Max        float32 // the largest magnitude
	SumSquares float64 // summed in order, tile by tile: the same on every machine
}

// Measure looks at every element once.
func Measure(src []byte, t dtype.Type) Magnitude {
	m := Magnitude{Count: len(src) / size(t)}
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	for len(src) >= size(t) {
		n := min(tileLen, len(src)/size(t))
		Convert(s.x[:4*n], dtype.F32, src[:n*size(t)], t)
		m.addTile(s.x[:4*n])
		src = src[n*size(t):]
	}
	return m
}

func (m *Magnitude) addTile(x []byte) {
	sum := 0.0
	for ; len(x) >= 4; x = x[4:] {
		bits := le.Uint32(x) & abs32
		if bits >= inf32 {
			m.NonFinite++
			continue
		}
		f := math.Float32frombits(bits)
		m.Max = max(m.Max, f)
		square := float64(f) * float64(f)
		sum += float64(square) // the conversion keeps arm64 from fusing the two
	}
	m.SumSquares += sum
}

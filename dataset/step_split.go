package dataset

import "math"

// Splitter puts records into parts by a hash of their queries. Records with
// equal queries are in the same part, and the part of a record does not depend
// on other records.
type Splitter struct {
	seed   uint64
	bounds []float64 // cumulative shares
}

// NewSplitter returns a Splitter whose part i has the relative share shares[i].
func NewSplitter(seed uint64, shares []float64) (*Splitter, error) {
	if err := checkWeights(shares); err != nil {
		return nil, err
	}
	s := &Splitter{seed, make([]float64, len(shares))}
	sum := 0.0
	for i, w := range shares {
		sum += w
		s.bounds[i] = sum
	}
	for i := range s.bounds {
		s.bounds[i] /= sum
	}
	return s, nil
}

// Part returns the part of a record, from 0.
func (s *Splitter) Part(r *Record) int {
	x := float64(hash64(s.seed, []byte(r.Query()))>>11) / (1 << 53)
	for i, bound := range s.bounds {
		if x < bound {
			return i
		}
	}
	return len(s.bounds) - 1
}

// checkWeights refuses weights that no choice can be made by.
func checkWeights(list []float64) error {
	if len(list) == 0 {
		return badOption("there are no weights: give at least one")
	}
	sum := 0.0
	for i, w := range list {
		if w < 0 || math.IsNaN(w) || math.IsInf(w, 0) {
			return badOption("weight %d is %v", i+1, w)
		}
		sum += w
	}
	if sum <= 0 || math.IsInf(sum, 0) {
		return badOption("the sum of the weights is %v", sum)
	}
	return nil
}

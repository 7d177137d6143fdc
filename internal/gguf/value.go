package gguf

import (
	"encoding/binary"
	"math"
)

// Type is the type of a value. Its numbers are those in files.
type Type uint32

// The types of values.
const (
	Uint8 Type = iota
	Int8
	Uint16
	Int16
	Uint32
	Int32
	Float32
	Bool
	String
	Array
	Uint64
	Int64
	Float64
)

// sizes maps each type to its size in bytes, or to 0 if values of the type vary
// in size.
var sizes = [...]int64{1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8}

// Value is a number, a boolean, a string, or an array of either. The functions
// Text, Uint, Float, Boolean, Texts, Floats and Ints make values.
type Value struct {
	Type   Type  // the type of the value, or of the items of an array
	List   bool  // whether the value is an array
	Offset int64 // the file offset of the value, after its type
	Len    int   // the number of items; 1 unless the value is an array

	raw   []byte   // numbers and booleans, little-endian
	texts []string // strings
}

// Pair is a key and its value.
type Pair struct {
	Key   string // at most 65,535 bytes of UTF-8
	Value Value  // of any type
}

// Text returns a value of type String.
func Text(s string) Value { return Value{Type: String, Len: 1, texts: []string{s}} }

// Uint returns a value of type Uint32.
func Uint(n uint32) Value { return Value{Type: Uint32, Len: 1, raw: le.AppendUint32(nil, n)} }

// Float returns a value of type Float32.
func Float(f float32) Value {
	return Value{Type: Float32, Len: 1, raw: le.AppendUint32(nil, math.Float32bits(f))}
}

// Boolean returns a value of type Bool.
func Boolean(b bool) Value {
	raw := []byte{0}
	if b {
		raw[0] = 1
	}
	return Value{Type: Bool, Len: 1, raw: raw}
}

// Texts returns an array of type String.
func Texts(list []string) Value {
	return Value{Type: String, List: true, Len: len(list), texts: append([]string{}, list...)}
}

// Floats returns an array of type Float32.
func Floats(list []float32) Value {
	raw := make([]byte, 0, 4*len(list))
	for _, f := range list {
		raw = le.AppendUint32(raw, math.Float32bits(f))
	}
	return Value{Type: Float32, List: true, Len: len(list), raw: raw}
}

// Ints returns an array of type Int32.
func Ints(list []int32) Value {
	raw := make([]byte, 0, 4*len(list))
	for _, n := range list {
		raw = le.AppendUint32(raw, uint32(n))
	}
	return Value{Type: Int32, List: true, Len: len(list), raw: raw}
}

var le = binary.LittleEndian

// Text returns the i-th string, or "" if the value does not have one.
func (v *Value) Text(i int) string {
	if i >= len(v.texts) {
		return ""
	}
	return v.texts[i]
}

// Int returns the i-th integer or boolean. ok is false if the value does not
// have one, or if it does not fit an int64.
func (v *Value) Int(i int) (n int64, ok bool) {
	bits, ok := v.bits(i)
	switch v.Type {
	case Int8:
		return int64(int8(bits)), ok
	case Int16:
		return int64(int16(bits)), ok
	case Int32:
		return int64(int32(bits)), ok
	case Float32, Float64:
		return 0, false
	case Uint64:
		return int64(bits), ok && bits <= math.MaxInt64
	}
	return int64(bits), ok
}

// Float returns the i-th floating-point number. ok is false if the value does not
// have one.
func (v *Value) Float(i int) (f float64, ok bool) {
	bits, ok := v.bits(i)
	switch v.Type {
	case Float32:
		return float64(math.Float32frombits(uint32(bits))), ok
	case Float64:
		return math.Float64frombits(bits), ok
	}
	return 0, false
}

// bits returns the bits of the i-th number or boolean.
func (v *Value) bits(i int) (uint64, bool) {
	if v.raw == nil || i >= v.Len {
		return 0, false
	}
	size := int(sizes[v.Type])
	var full [8]byte
	copy(full[:], v.raw[i*size:(i+1)*size])
	return le.Uint64(full[:]), true
}

package main

import "fmt"

// The NEON kernels of products hold the lanes of a sum in four registers: V16
// to V31 for four rows. V0 to V3 hold the columns of the vector, V8 to V11 the
// weights in fp32. V12 to V15 are scratch.

// dots emits the kernels of products. See machine.dots.
func (w *neon) dots() {
	m := &machine{name: "NEON", single: true}
	for _, t := range []string{f32, f16, bf16} {
		for _, fused := range []bool{false, true} {
			for _, s := range m.shapes() {
				w.dot(t, fused, s)
			}
		}
	}
	w.fold()
	w.addScaled()
}

// dot emits a kernel of type dotKernel. The rows of weights are at R1, R5, R6
// and R7.
func (w *neon) dot(t string, fused bool, s shape) {
	w.begin(dotName(t, fused, s)+"NEON", "lanes *float32, w *byte, stride int, x *float32, xStride int, n int", 48)
	w.line("MOVD lanes+0(FP), R0")
	w.line("MOVD w+8(FP), R1")
	w.line("MOVD stride+16(FP), R2")
	w.line("MOVD x+24(FP), R3")
	w.line("MOVD n+40(FP), R4")
	pointers := []string{"R1", "R5", "R6", "R7"}[:s.rows]
	for r := 1; r < s.rows; r++ {
		w.line("ADD R2, %s, %s", pointers[r-1], pointers[r])
	}
	w.line("MOVD R0, R8")
	for r := range s.rows {
		w.line("VLD1.P 64(R8), [V%d.S4, V%d.S4, V%d.S4, V%d.S4]", 16+4*r, 17+4*r, 18+4*r, 19+4*r)
	}
	w.text.WriteString("\nloop:\n")
	w.line("VLD1.P 64(R3), [V0.S4, V1.S4, V2.S4, V3.S4]")
	for r := range s.rows {
		w.sixteen(t, pointers[r])
		for i := range uint32(4) {
			w.product(fused, 16+4*uint32(r)+i, 8+i, i)
		}
	}
	w.line("SUBS $16, R4, R4")
	w.line("BNE loop")
	for r := range s.rows {
		w.line("VST1.P [V%d.S4, V%d.S4, V%d.S4, V%d.S4], 64(R0)", 16+4*r, 17+4*r, 18+4*r, 19+4*r)
	}
	w.line("RET")
}

// sixteen emits the conversion of 16 elements to fp32 in V8 to V11.
func (w *neon) sixteen(t, pointer string) {
	if t == f32 {
		w.line("VLD1.P 64(%s), [V8.S4, V9.S4, V10.S4, V11.S4]", pointer)
		return
	}
	w.line("VLD1.P 32(%s), [V12.H8, V13.H8]", pointer)
	w.widen(t, 12, 8)
	w.widen(t, 13, 10)
}

// product emits the addition of V(a)·V(b) to V(sum). It uses V12 to V15 if the
// product is to be rounded first.
func (w *neon) product(fused bool, sum, a, b uint32) {
	if fused {
		w.word(0x4e20cc00, sum, a, b, fmt.Sprintf("FMLA V%d.4S, V%d.4S, V%d.4S", sum, a, b))
		return
	}
	scratch := 12 + b
	w.word(0x6e20dc00, scratch, a, b, fmt.Sprintf("FMUL V%d.4S, V%d.4S, V%d.4S", scratch, a, b))
	w.add(sum, sum, scratch)
}

func (w *neon) add(d, n, m uint32) {
	w.word(0x4e20d400, d, n, m, fmt.Sprintf("FADD V%d.4S, V%d.4S, V%d.4S", d, n, m))
}

// fold emits the sums of the lanes of the rows of a panel, four rows at a time.
func (w *neon) fold() {
	w.begin("foldNEON", "sums, lanes *float32", 16)
	w.line("MOVD sums+0(FP), R0")
	w.line("MOVD lanes+8(FP), R1")
	w.line("MOVD $%d, R3", panelRows)
	w.constant(29, 0x7fc00000)
	w.text.WriteString("\nloop:\n")
	for r := range uint32(4) { // fold to four lanes each, in V8 to V11
		w.line("VLD1.P 64(R1), [V0.S4, V1.S4, V2.S4, V3.S4]")
		w.add(0, 0, 2)
		w.add(1, 1, 3)
		w.add(8+r, 0, 1)
	}
	for pair := range uint32(2) { // fold to two lanes each
		a, b := 8+2*pair, 9+2*pair
		w.word(0x4ec03800, 0, a, b, fmt.Sprintf("ZIP1 V0.2D, V%d.2D, V%d.2D", a, b))
		w.word(0x4ec07800, 1, a, b, fmt.Sprintf("ZIP2 V1.2D, V%d.2D, V%d.2D", a, b))
		w.add(2+pair, 0, 1)
	}
	w.word(0x6e20d400, 2, 2, 3, "FADDP V2.4S, V2.4S, V3.4S")
	w.canonical(2)
	w.line("VST1.P [V2.S4], 16(R0)")
	w.line("SUBS $4, R3, R3")
	w.line("BNE loop")
	w.line("RET")
}

// addScaled emits dst += s·x with each product rounded.
func (w *neon) addScaled() {
	w.begin("addScaledNEON", "dst, x *float32, s float32, n int", 32)
	w.line("MOVD dst+0(FP), R0")
	w.line("MOVD x+8(FP), R1")
	w.line("MOVW s+16(FP), R4")
	w.line("VDUP R4, V28.S4")
	w.line("MOVD n+24(FP), R3")
	w.constant(29, 0x7fc00000)
	w.text.WriteString("\nloop:\n")
	w.line("VLD1.P 64(R1), [V0.S4, V1.S4, V2.S4, V3.S4]")
	w.line("VLD1 (R0), [V8.S4, V9.S4, V10.S4, V11.S4]")
	for i := range uint32(4) {
		w.product(false, 8+i, 28, i)
		w.canonical(8 + i)
	}
	w.line("VST1.P [V8.S4, V9.S4, V10.S4, V11.S4], 64(R0)")
	w.line("SUBS $16, R3, R3")
	w.line("BNE loop")
	w.line("RET")
}

package torchfile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/koala-go/sdk/internal/bounded"
)

// window is the most that is read of the file at once, in bytes.
const window = 64 << 10

// near is the widest gap, in bytes, that is read rather than jumped over: a
// page.
const near = 4 << 10

// axis is one dimension of a tensor: how many elements, how far apart.
type axis struct {
	n, stride int64
	out       int64 // distance in what is read; set while a box is copied
}

// strided reads a tensor of any strides row by row.
type strided struct {
	r    io.ReaderAt
	base int64 // file offset of the first element
	size int64 // of all elements, in bytes
	item int64 // size of one
	axes []axis
}

// merged drops dimensions of one element and joins those that follow each
// other in the storage as they do in the tensor.
func merged(shape, strides []int64) []axis {
	axes := make([]axis, 0, len(shape))
	for i, n := range shape {
		if n == 1 {
			continue
		}
		if k := len(axes) - 1; k >= 0 && axes[k].stride == n*strides[i] {
			axes[k] = axis{n: axes[k].n * n, stride: strides[i]}
			continue
		}
		axes = append(axes, axis{n: n, stride: strides[i]})
	}
	return axes
}

// ReadAt is that of io.ReaderAt. Of a tensor whose neighbours lie far apart
// in the file, many rows at once cost little more than one.
func (s *strided) ReadAt(b []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, errors.New("torchfile: negative offset")
	}
	if off >= s.size {
		return 0, io.EOF
	}
	want := int(min(int64(len(b)), s.size-off))
	g := &gatherer{strided: s}
	for n < want {
		i, skip := (off+int64(n))/s.item, (off+int64(n))%s.item
		if whole := int64(want-n) / s.item; skip == 0 && whole > 0 {
			if err := g.gather(b[n:n+int(whole*s.item)], i); err != nil {
				return n, err
			}
			n += int(whole * s.item)
			continue
		}
		var one [8]byte // a part of one element
		if err := g.gather(one[:s.item], i); err != nil {
			return n, err
		}
		n += copy(b[n:want], one[skip:s.item])
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// gatherer is one call of ReadAt, with the bytes that were read last.
type gatherer struct {
	*strided
	buf  []byte
	have []byte // of the file, from offset from on
	from int64
}

// gather reads elements from number i on, box by box.
func (g *gatherer) gather(dst []byte, i int64) error {
	for len(dst) > 0 {
		box, start, n := g.box(i, int64(len(dst))/g.item)
		if err := g.copyBox(dst[:n*g.item], box, g.base+start*g.item); err != nil {
			return err
		}
		dst, i = dst[n*g.item:], i+n
	}
	return nil
}

// box finds the largest box that begins with element i and has at most most
// elements: some steps of one dimension, and all of those within it. It
// returns the box, the place of its first element and the number of its
// elements.
func (g *gatherer) box(i, most int64) (box []axis, start, n int64) {
	j, inner := len(g.axes)-1, int64(1) // inner is the size of the dimensions after j
	for j > 0 && i%(inner*g.axes[j].n) == 0 && most >= inner*g.axes[j].n {
		inner *= g.axes[j].n
		j--
	}
	steps := min(g.axes[j].n-i/inner%g.axes[j].n, most/inner)
	box = slices.Clone(g.axes[j:])
	box[0].n, n = steps, steps*inner
	for k := len(g.axes) - 1; k >= 0; k-- {
		start += i % g.axes[k].n * g.axes[k].stride
		i /= g.axes[k].n
	}
	for k, out := len(box)-1, int64(1); k >= 0; k-- {
		box[k].out = out
		out *= box[k].n
	}
	return box, start, n
}

// copyBox copies a box whose first element lies at offset at of the file. It
// walks through the file upwards, and reads what lies close together at once.
func (g *gatherer) copyBox(dst []byte, box []axis, at int64) error {
	slices.SortStableFunc(box, func(a, b axis) int { return int(max(-1, min(1, b.stride-a.stride))) })
	span, k := int64(1), len(box) // of the axes from k on, which are close
	for k > 0 && (box[k-1].stride-span)*g.item <= near {
		k--
		span += (box[k].n - 1) * box[k].stride
	}
	p := plane{cross: axis{n: 1}, line: axis{n: 1, stride: 1, out: 1}}
	if last := len(box) - 1; k <= last {
		p.line, box = box[last], box[:last]
	}
	if last := len(box) - 1; last >= 0 {
		p.far = k > last
		p.cross, box = box[last], box[:last]
	}
	k = min(k, len(box))
	return odometer(box[:k], func(in, out int64) error {
		end := at + (in+span)*g.item
		return odometer(box[k:], func(in2, out2 int64) error {
			return g.copyPlane(dst[(out+out2)*g.item:], p, at+(in+in2)*g.item, end)
		})
	})
}

// plane is the two innermost axes of a box: lines, and how they lie beside
// each other; far when the gaps between them are not to be read.
type plane struct {
	cross, line axis
	far         bool
}

// copyPlane copies a plane whose first element lies at offset at of the file,
// as many lines at once as are read at once.
func (g *gatherer) copyPlane(dst []byte, p plane, at, end int64) error {
	span := ((p.line.n-1)*p.line.stride + 1) * g.item
	for p.cross.n > 0 {
		n := int64(1)
		if span > window {
			if err := g.copyLine(dst, p.line, at, max(end, at+span)); err != nil {
				return err
			}
		} else {
			src, step, many, err := g.lines(p, at, span, end)
			if err != nil {
				return err
			}
			n = many
			p.spread(dst, src, int(n), int(step), int(g.item))
		}
		p.cross.n -= n
		at += n * p.cross.stride * g.item
		dst = dst[min(n*p.cross.out*g.item, int64(len(dst))):]
	}
	return nil
}

// lines reads lines of span bytes each: n of them, which begin step bytes
// apart in src.
func (g *gatherer) lines(p plane, at, span, end int64) (src []byte, step, n int64, err error) {
	step = p.cross.stride * g.item
	if !p.far {
		src, err = g.bytes(at, span, end)
		n = p.cross.n
		if step > 0 {
			n = min(n, (int64(len(src))-span)/step+1)
		}
		return src, step, n, err
	}
	n = min(p.cross.n, window/span)
	g.grow(n * span)
	for i := range n {
		if err := bounded.ReadFull(g.r, g.buf[i*span:][:span], at+i*step); err != nil {
			return nil, 0, 0, err
		}
	}
	return g.buf[:n*span], span, n, nil
}

// odometer calls f for every combination of steps, the last axis fastest,
// with the distances in the file and in the output, in elements.
func odometer(axes []axis, f func(in, out int64) error) error {
	if len(axes) == 0 {
		return f(0, 0)
	}
	for i := range axes[0].n {
		err := odometer(axes[1:], func(in, out int64) error { return f(in+i*axes[0].stride, out+i*axes[0].out) })
		if err != nil {
			return err
		}
	}
	return nil
}

// copyLine copies a line that is longer than a window.
func (g *gatherer) copyLine(dst []byte, line axis, at, end int64) error {
	if line.stride == 1 && line.out == 1 {
		return bounded.ReadFull(g.r, dst[:line.n*g.item], at)
	}
	for line.n > 0 {
		src, err := g.bytes(at, g.item, end)
		if err != nil {
			return err
		}
		n := min(line.n, (int64(len(src))-g.item)/(line.stride*g.item)+1)
		plane{line: axis{n: n, stride: line.stride, out: line.out}}.spread(dst, src, 1, 0, int(g.item))
		line.n -= n
		at += n * line.stride * g.item
		dst = dst[min(n*line.out*g.item, int64(len(dst))):]
	}
	return nil
}

// bytes gives the file from offset at on: least bytes, or more up to end.
func (g *gatherer) bytes(at, least, end int64) ([]byte, error) {
	if at < g.from || at+least > g.from+int64(len(g.have)) {
		n := min(window, end-at)
		g.grow(n)
		if err := bounded.ReadFull(g.r, g.buf[:n], at); err != nil {
			return nil, err
		}
		g.have, g.from = g.buf[:n], at
	}
	return g.have[at-g.from:], nil
}

// grow makes room in the buffer, whose bytes are read anew.
func (g *gatherer) grow(n int64) {
	if g.have = nil; int64(len(g.buf)) < n {
		g.buf = make([]byte, n)
	}
}

// spread copies n lines, which begin step bytes apart in src. It writes
// across the lines, where neighbours in the output stand.
func (p plane) spread(dst, src []byte, n, step, item int) {
	in, out, across := int(p.line.stride)*item, int(p.line.out)*item, int(p.cross.out)*item
	count := int(p.line.n)
	if in == item && out == item {
		for k := range n {
			copy(dst[k*across:][:count*item], src[k*step:])
		}
		return
	}
	for i := range count {
		d, s := dst[i*out:], src[i*in:]
		switch item {
		case 2:
			for k := range n {
				binary.LittleEndian.PutUint16(d[k*across:], binary.LittleEndian.Uint16(s[k*step:]))
			}
		case 4:
			for k := range n {
				binary.LittleEndian.PutUint32(d[k*across:], binary.LittleEndian.Uint32(s[k*step:]))
			}
		default:
			for k := range n {
				copy(d[k*across:][:item], s[k*step:])
			}
		}
	}
}

// brief writes a list of numbers, of which a file may hold many.
func brief(list []int64) string {
	if len(list) > 8 {
		return fmt.Sprintf("%v… (%d in all)", list[:8], len(list))
	}
	return fmt.Sprint(list)
}

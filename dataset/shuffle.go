package dataset

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"errors"
	"io"
	"iter"
	"os"
	"slices"
)

// ShuffleOptions are the choices of Shuffle; nil means the zero value.
type ShuffleOptions struct {
	Seed   uint64
	Memory int64  // bytes of records that are held in memory (default 128 MiB)
	Dir    string // for files of what is more than that (default: the system's)
}

// Shuffle puts records into an order that the seed decides, and the memory
// does not. What does not fit into memory goes to 256 files first.
func Shuffle(records iter.Seq2[Record, error], opts *ShuffleOptions) iter.Seq2[Record, error] {
	o := ShuffleOptions{}
	if opts != nil {
		o = *opts
	}
	if o.Memory <= 0 {
		o.Memory = 128 << 20
	}
	return func(yield func(Record, error) bool) {
		cards := func(yield func(card, error) bool) {
			n := uint64(0)
			for r, err := range records {
				c := card{n: n}
				if err == nil {
					c.key = shuffleKey(o.Seed, n)
					c.line = r.AppendJSON(nil)
				}
				if n++; !yield(c, err) || err != nil {
					return
				}
			}
		}
		_, err := o.shuffle(cards, 0, func(c card) bool {
			fields, err := parseRecord(c.line)
			return yield(Record{At: Position{Index: int64(c.n)}, Fields: fields, Line: c.line}, err) && err == nil
		})
		if err != nil {
			yield(Record{}, err)
		}
	}
}

// shuffleKey is by what a record goes in the shuffle, given its old place.
func shuffleKey(seed, n uint64) uint64 { return hash64(seed, binary.LittleEndian.AppendUint64(nil, n)) }

// card is a record in the shuffle: it goes by key, then by its old place n.
type card struct {
	key, n uint64
	line   []byte
}

// cardBytes is what a card costs besides its line.
const cardBytes = 64

// shuffle gives cards in order, those of a part that depth bytes of the key
// have in common. It says false when the consumer wants no more.
func (o *ShuffleOptions) shuffle(cards iter.Seq2[card, error], depth int, yield func(card) bool) (bool, error) {
	var held []card
	var size int64
	var parts *partFiles
	defer func() { parts.close() }()
	for c, err := range cards {
		if err != nil {
			return false, err
		}
		if parts == nil {
			held = append(held, c)
			size += int64(len(c.line)) + cardBytes
			if size <= o.Memory || depth == 8 {
				continue
			}
			if parts, err = o.createParts(); err != nil {
				return false, err
			}
		} else {
			held = append(held[:0], c)
		}
		for _, c := range held {
			if err := parts.write(&c, depth); err != nil {
				return false, err
			}
		}
	}
	if parts == nil {
		slices.SortFunc(held, func(a, b card) int { return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.n, b.n)) })
		for _, c := range held {
			if !yield(c) {
				return false, nil
			}
		}
		return true, nil
	}
	held = nil
	for i := range parts.files {
		if more, err := o.shuffle(parts.read(i), depth+1, yield); !more || err != nil {
			return more, err
		}
	}
	return true, nil
}

// partFiles are temporary files, one for each value of a byte of the key.
type partFiles struct {
	files   [256]*os.File
	writers [256]*bufio.Writer
}

func (o *ShuffleOptions) createParts() (*partFiles, error) {
	p := &partFiles{}
	for i := range p.files {
		f, err := os.CreateTemp(o.Dir, "koala-shuffle-*")
		if err != nil {
			p.close()
			return nil, err
		}
		p.files[i], p.writers[i] = f, bufio.NewWriterSize(f, 16<<10)
	}
	return p, nil
}

func (p *partFiles) close() {
	if p == nil {
		return
	}
	for _, f := range p.files {
		if f != nil {
			_ = errors.Join(f.Close(), os.Remove(f.Name())) // nothing of it is needed
		}
	}
}

func (p *partFiles) write(c *card, depth int) error {
	w := p.writers[byte(c.key>>(56-8*depth))]
	var head [24]byte
	binary.LittleEndian.PutUint64(head[:], c.key)
	binary.LittleEndian.PutUint64(head[8:], c.n)
	binary.LittleEndian.PutUint64(head[16:], uint64(len(c.line)))
	_, err := w.Write(head[:])
	if err == nil {
		_, err = w.Write(c.line)
	}
	return err
}

// read gives a file's cards.
func (p *partFiles) read(i int) iter.Seq2[card, error] {
	return func(yield func(card, error) bool) {
		err := p.writers[i].Flush()
		if err == nil {
			_, err = p.files[i].Seek(0, io.SeekStart)
		}
		if err != nil {
			yield(card{}, err)
			return
		}
		r := bufio.NewReaderSize(p.files[i], 64<<10)
		for {
			c, err := readCard(r)
			if err == io.EOF {
				return
			}
			if !yield(c, err) || err != nil {
				return
			}
		}
	}
}

func readCard(r io.Reader) (c card, err error) {
	var head [24]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return c, err
	}
	c.key, c.n = binary.LittleEndian.Uint64(head[:]), binary.LittleEndian.Uint64(head[8:])
	c.line = make([]byte, binary.LittleEndian.Uint64(head[16:]))
	_, err = io.ReadFull(r, c.line)
	return c, err
}

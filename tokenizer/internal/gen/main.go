// Command gen makes ../../llama.bin, the vocabulary of LLaMA that package
// tokenizer embeds, from the npm package llama-tokenizer-js (MIT licence).
//
// All numbers in the file are little-endian. For each piece from id 259 on that
// a merge makes, the file holds the ids of its halves, the two pieces that its
// last merge joins, in two bytes each. The characters that are the remaining
// pieces follow as UTF-8. The pieces before id 259 are not in the file: they are
// <unk>, <s>, </s> and the 256 bytes.
package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"unicode/utf8"
)

const (
	source = "llama-tokenizer-js@1.2.2"
	digest = "ee83014ac8b379b16cf8d81e99ffcdb23dfade8c0d2e751bd06e7dc0b8476e72"
	member = "package/llama-tokenizer.js"

	first = 259   // id of the first piece that is neither special nor a byte
	total = 32000 // number of pieces
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("gen: ")
	tarball := flag.String("tarball", "", "read the package from this `file` instead of having npm fetch it")
	out := flag.String("out", "llama.bin", "`file` to write")
	flag.Parse()
	if err := run(*tarball, *out); err != nil {
		log.Fatal(err)
	}
}

func run(tarball, out string) error {
	packed, err := fetch(tarball)
	if err != nil {
		return err
	}
	script, err := unpack(packed)
	if err != nil {
		return err
	}
	pieces, err := vocabulary(script)
	if err != nil {
		return err
	}
	data, err := encode(pieces)
	if err != nil {
		return err
	}
	return os.WriteFile(out, data, 0o644)
}

// fetch returns the package after checking its digest.
func fetch(tarball string) ([]byte, error) {
	packed, err := download(tarball)
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(packed); hex.EncodeToString(sum[:]) != digest {
		return nil, fmt.Errorf("%s: sha256 is %x, want %s", source, sum, digest)
	}
	return packed, nil
}

// download reads the package from tarball, or has npm fetch it if tarball is
// empty.
func download(tarball string) ([]byte, error) {
	if tarball != "" {
		return os.ReadFile(tarball)
	}
	dir, err := os.MkdirTemp("", "gen-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	npm := exec.Command("npm", "pack", "--silent", source)
	npm.Dir, npm.Stderr = dir, os.Stderr
	name, err := npm.Output()
	if err != nil {
		return nil, fmt.Errorf("npm pack %s: %w", source, err)
	}
	return os.ReadFile(filepath.Join(dir, strings.TrimSpace(string(name))))
}

// unpack returns the script of the package.
func unpack(packed []byte) (string, error) {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return "", err
	}
	for t := tar.NewReader(z); ; {
		h, err := t.Next()
		if err != nil {
			return "", fmt.Errorf("%s: %w", member, err)
		}
		if h.Name == member {
			b, err := io.ReadAll(t)
			return string(b), err
		}
	}
}

// vocabulary returns the pieces of the script, which holds them in base64, one
// on a line.
func vocabulary(script string) ([]string, error) {
	found := regexp.MustCompile(`const llama_vocab_base64 = "([A-Za-z0-9+/=]+)"`).FindStringSubmatch(script)
	if found == nil {
		return nil, fmt.Errorf("%s: the script has no vocabulary", member)
	}
	b, err := base64.StdEncoding.DecodeString(found[1])
	if err != nil {
		return nil, err
	}
	pieces := strings.Split(string(b), "\n")
	if len(pieces) != total {
		return nil, fmt.Errorf("%s: the vocabulary has %d pieces, want %d", member, len(pieces), total)
	}
	return pieces, nil
}

// encode returns the pieces in the format of llama.bin.
func encode(pieces []string) ([]byte, error) {
	ids := make(map[string]int, total)
	for id := first; id < total; id++ {
		ids[pieces[id]] = id
	}
	var out []byte
	id := first
	for ; id < total && utf8.RuneCountInString(pieces[id]) > 1; id++ {
		left, right, err := halves(pieces[id], ids)
		if err != nil {
			return nil, err
		}
		out = binary.LittleEndian.AppendUint16(out, uint16(left))
		out = binary.LittleEndian.AppendUint16(out, uint16(right))
	}
	for _, char := range pieces[id:] {
		if utf8.RuneCountInString(char) != 1 {
			return nil, fmt.Errorf("piece %q is not a single character", char)
		}
		out = append(out, char...)
	}
	return out, nil
}

// halves returns the ids of the two pieces that the last merge of a piece joins.
// Merges go by ascending id, and the leftmost of equals first.
func halves(piece string, ids map[string]int) (left, right int, err error) {
	row := strings.Split(piece, "")
	for len(row) > 2 {
		best, at := total, -1
		for i := range row[1:] {
			if id, ok := ids[row[i]+row[i+1]]; ok && id < best {
				best, at = id, i
			}
		}
		if at < 0 {
			return 0, 0, fmt.Errorf("piece %q does not encode to itself", piece)
		}
		row[at] += row[at+1]
		row = append(row[:at+1], row[at+2:]...)
	}
	left, okLeft := ids[row[0]]
	right, okRight := ids[row[1]]
	if !okLeft || !okRight {
		return 0, 0, fmt.Errorf("the halves of %q are not pieces", piece)
	}
	return left, right, nil
}

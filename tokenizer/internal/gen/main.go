// Command gen makes ../../llama.bin, LLaMA's vocabulary as package tokenizer
// embeds it, from the npm package llama-tokenizer-js (MIT licence).
//
// The file holds, all little-endian: for each piece from id 259 on that is
// made by a merge the ids of the two pieces that its last merge joins, two
// bytes each; then, as UTF-8, the characters that are the pieces after these.
// The pieces before are the same for all: <unk>, <s>, </s> and 256 bytes.
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

	first = 259   // id of the first piece that is no byte
	total = 32000 // pieces
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

// fetch reads the package and checks its digest.
func fetch(tarball string) ([]byte, error) {
	packed, err := download(tarball)
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(packed); hex.EncodeToString(sum[:]) != digest {
		return nil, fmt.Errorf("%s: sha256 is %x, not %s", source, sum, digest)
	}
	return packed, nil
}

// download has npm fetch the package, unless it is here already.
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

// unpack takes the script out of the package.
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

// vocabulary takes the pieces out of the script: base64 of one a line.
func vocabulary(script string) ([]string, error) {
	found := regexp.MustCompile(`const llama_vocab_base64 = "([A-Za-z0-9+/=]+)"`).FindStringSubmatch(script)
	if found == nil {
		return nil, fmt.Errorf("%s: no vocabulary in it", member)
	}
	b, err := base64.StdEncoding.DecodeString(found[1])
	if err != nil {
		return nil, err
	}
	pieces := strings.Split(string(b), "\n")
	if len(pieces) != total {
		return nil, fmt.Errorf("%s: %d pieces, not %d", member, len(pieces), total)
	}
	return pieces, nil
}

// encode writes the pieces as the package reads them.
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
			return nil, fmt.Errorf("piece %q is no character", char)
		}
		out = append(out, char...)
	}
	return out, nil
}

// halves are the two pieces that the last merge of a piece joins: merging goes
// by ascending id, the leftmost first.
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
		return 0, 0, fmt.Errorf("the halves of %q are no pieces", piece)
	}
	return left, right, nil
}

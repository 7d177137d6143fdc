package diff

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"hash"
	"regexp"
	"strings"
)

// newHash makes a hash of a kind that lists of checksums are of.
func newHash(kind string) hash.Hash {
	switch kind {
	case "md5":
		return md5.New()
	case "sha1":
		return sha1.New()
	case "sha512":
		return sha512.New()
	}
	return sha256.New()
}

// kinds of checksums by the number of their hexadecimal digits.
var kinds = map[int]string{32: "md5", 40: "sha1", 64: "sha256", 128: "sha512"}

// listed is a line of a list of checksums.
type listed struct{ kind, digest, name string }

var (
	// plainLine is a digest, a space, a space or an asterisk, and a name.
	plainLine = regexp.MustCompile(`^([0-9a-fA-F]+) [ *]?(.+)$`)
	// taggedLine is what the BSDs' tools write.
	taggedLine = regexp.MustCompile(`^(?:MD5|SHA1|SHA256|SHA512) \((.+)\) = ([0-9a-fA-F]+)$`)
)

// parseSums reads a list of checksums as md5sum and its like write it. Empty
// lines and those that begin with # are passed over.
func parseSums(text, path string) ([]listed, error) {
	var list []listed
	for i, line := range strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		digest, name := "", ""
		if m := taggedLine.FindStringSubmatch(line); m != nil {
			digest, name = m[2], m[1]
		} else if m := plainLine.FindStringSubmatch(line); m != nil {
			digest, name = m[1], m[2]
		}
		kind := kinds[len(digest)]
		if _, err := hex.DecodeString(digest); kind == "" || err != nil {
			return nil, fmt.Errorf("line %d is no checksum and name: %s: give a list as md5sum or sha256sum writes it", i+1, path)
		}
		list = append(list, listed{kind, strings.ToLower(digest), strings.TrimPrefix(name, "./")})
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("the list is empty: %s: give one as md5sum or sha256sum writes it", path)
	}
	return list, nil
}

// sums compares the output's files with a list of checksums.
func (v *verifier) sums() error {
	text, err := readSmall(v.options.Sums)
	if err != nil {
		return err
	}
	list, err := parseSums(string(text), v.options.Sums)
	if err != nil {
		return err
	}
	for _, x := range list {
		if _, err := v.file(x.name, -1, x.kind, x.digest); err != nil {
			return fmt.Errorf("%s: %w", v.options.Sums, err)
		}
	}
	return nil
}

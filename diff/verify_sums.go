package diff

import (
	"context"
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

// newHash returns a hash of a kind of checksum.
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

// checksumKinds has the kinds of checksums by the number of hexadecimal digits.
var checksumKinds = map[int]string{32: "md5", 40: "sha1", 64: "sha256", 128: "sha512"}

// checksum is a line of a list of checksums.
type checksum struct{ kind, digest, name string }

var (
	// plainLine matches the form of md5sum: a digest, a space, a space or an
	// asterisk, and a name.
	plainLine = regexp.MustCompile(`^([0-9a-fA-F]+) [ *]?(.+)$`)
	// taggedLine matches the form of the BSD tools.
	taggedLine = regexp.MustCompile(`^(?:MD5|SHA1|SHA256|SHA512) \((.+)\) = ([0-9a-fA-F]+)$`)
)

// parseSums parses a list of checksums. It ignores empty lines and lines that begin
// with #.
func parseSums(text, path string) ([]checksum, error) {
	var list []checksum
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
		kind := checksumKinds[len(digest)]
		if _, err := hex.DecodeString(digest); kind == "" || err != nil {
			return nil, fmt.Errorf("line %d is not a checksum and a name: %s: give a list in the form of md5sum or sha256sum", i+1, path)
		}
		list = append(list, checksum{kind, strings.ToLower(digest), strings.TrimPrefix(name, "./")})
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("the list of checksums is empty: %s: give a list in the form of md5sum or sha256sum", path)
	}
	return list, nil
}

// compareSums compares the output's files with a list of checksums.
func (v *verifier) compareSums(ctx context.Context) error {
	text, err := readSmall(ctx, v.options.Sums)
	if err != nil {
		return err
	}
	list, err := parseSums(string(text), v.options.Sums)
	if err != nil {
		return err
	}
	for _, x := range list {
		if _, err := v.compareFile(ctx, x.name, -1, x.kind, x.digest); err != nil {
			return fmt.Errorf("%s: %w", v.options.Sums, err)
		}
	}
	return nil
}

// Command scripted gives check_local.py access to the scripted model of package
// modeltest and to the forward pass:
//
//	scripted write OUT           writes the model as a GGUF file
//	scripted continue MODEL N    reads lines, each a JSON array of token ids, and
//	                             prints the N ids of a greedy continuation
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"

	"github.com/koala-go/sdk/forward"
	"github.com/koala-go/sdk/modeltest"
	"github.com/koala-go/sdk/weights"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "scripted:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 2 && args[0] == "write":
		file, err := modeltest.ScriptedGGUF()
		if err != nil {
			return err
		}
		return os.WriteFile(args[1], file, 0o644)
	case len(args) == 3 && args[0] == "continue":
		n, err := strconv.Atoi(args[2])
		if err != nil {
			return err
		}
		return follow(context.Background(), args[1], n)
	}
	return errors.New("unknown arguments: want \"write OUT\" or \"continue MODEL N\"")
}

// follow prints the continuation of each line of standard input.
func follow(ctx context.Context, path string, n int) error {
	c, err := weights.Open(context.Background(), path, nil)
	if err != nil {
		return err
	}
	defer c.Close()
	m, err := forward.Load(ctx, c, &forward.Options{Fast: true})
	if err != nil {
		return err
	}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var ids, next []int32
		if err := json.Unmarshal(lines.Bytes(), &ids); err != nil {
			return err
		}
		s := m.NewSession()
		for range n {
			logits, err := s.Append(ctx, ids)
			if err != nil {
				return err
			}
			// The session remembers earlier tokens: append only the new one.
			ids = []int32{int32(slices.Index(logits, slices.Max(logits)))}
			next = append(next, ids[0])
		}
		if err := json.NewEncoder(os.Stdout).Encode(next); err != nil {
			return err
		}
	}
	return nil
}

// Command scripted writes the scripted model (internal/scripted) to a GGUF
// file, for check_local.py.
package main

import (
	"fmt"
	"os"

	"github.com/koala-go/sdk/internal/scripted"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: scripted OUT")
		os.Exit(2)
	}
	file, err := scripted.GGUF()
	if err == nil {
		err = os.WriteFile(os.Args[1], file, 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "scripted:", err)
		os.Exit(1)
	}
}

package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/fixture"
	"github.com/koala-go/sdk/modeltest"
	"github.com/koala-go/sdk/progress"
	"github.com/koala-go/sdk/weights"
)

// asKoala is the environment variable that makes the test binary run as the
// command.
const asKoala = "KOALA_TEST_AS_KOALA"

func TestMain(m *testing.M) {
	if os.Getenv(asKoala) != "" {
		main()
	}
	testscript.Main(m, map[string]func(){"koala": main})
}

// TestScripts runs testdata/*.txtar. Beside the commands of testscript, the
// scripts have
//
//	mkmodel base|diff safetensors|easylm PATH   makes a tiny model
//	mkscripted PATH                             makes a tiny model that talks
//	truncate PATH                               removes the last byte of a file
//
// $SERVER is the URL of fakeServer, which serves every kind of backend. $TABLES
// is the directory of the Parquet files of package dataset.
func TestScripts(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(fakeServer))
	t.Cleanup(server.Close)
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			env.Setenv("SERVER", server.URL)
			tables, err := filepath.Abs("../../dataset/testdata")
			env.Setenv("TABLES", tables)
			return err
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"mkmodel": mkmodel, "mkscripted": mkscripted, "truncate": truncate},
	})
}

// TestScriptsOnFixtures runs testdata/shared/*.txtar. $FIXTURES is the directory
// of the shared fixtures.
func TestScriptsOnFixtures(t *testing.T) {
	fixtures := fixture.Path(t, "fixtures")
	testscript.Run(t, testscript.Params{
		Dir: "testdata/shared",
		Setup: func(env *testscript.Env) error {
			env.Setenv("FIXTURES", fixtures)
			return nil
		},
	})
}

func mkmodel(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: mkmodel base|diff safetensors|easylm PATH")
	}
	o := &modeltest.Options{Format: weights.Format(args[1]), DType: dtype.F16, Values: modeltest.Tiny.Base}
	if args[0] == "diff" {
		o.DType, o.Values = dtype.BF16, modeltest.Tiny.Diff
	}
	ts.Check(modeltest.Tiny.Write(ts.MkAbs(args[2]), o))
}

func mkscripted(ts *testscript.TestScript, _ bool, args []string) {
	file, err := modeltest.ScriptedGGUF()
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), file, 0o644))
}

// truncate removes the last byte of a file.
func truncate(ts *testscript.TestScript, neg bool, args []string) {
	path := ts.MkAbs(args[0])
	info, err := os.Stat(path)
	ts.Check(err)
	ts.Check(os.Truncate(path, info.Size()-1))
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]size{
		"5GB": 5e9, "256MiB": 256 << 20, "1000": 1000, "1.5kb": 1500, "10 MB": 10e6, "3B": 3, "2TiB": 2 << 40, "1,000": 1000,
	} {
		var s size
		require.NoError(t, s.UnmarshalText([]byte(text)), text)
		require.Equal(t, want, s, text)
	}
	for _, text := range []string{"", "GB", "-1", "0", "0.5", "x", "1e30", "5 ZB", "9EiB", "NaN", "inf"} {
		var s size
		require.Error(t, s.UnmarshalText([]byte(text)), text)
	}
}

func TestBytesText(t *testing.T) {
	for n, want := range map[int64]string{-1: "0 B", 0: "0 B", 999: "999 B", 1000: "1.00 kB", 13_476_851_687: "13.5 GB"} {
		require.Equal(t, want, bytesText(n))
	}
}

func TestProgressLine(t *testing.T) {
	at := progress.Progress{Stage: "write", Done: 3e9, Total: 9e9, Unit: progress.Bytes}
	require.Equal(t, "write: 3.00 GB of 9.00 GB, 1.00 GB/s, 6s left", progressLine(at, 3*time.Second))
	at = progress.Progress{Stage: "read", Done: 4000, Unit: progress.Records}
	require.Equal(t, "read: 4,000 records, 2,000 records/s", progressLine(at, 2*time.Second))
}

// TestInterrupted checks the exit code and the message after Ctrl-C.
func TestInterrupted(t *testing.T) {
	var stderr strings.Builder
	require.Equal(t, 130, report(&stderr, "recover <path>", fmt.Errorf("reading: %w", context.Canceled)))
	require.Equal(t, "koala recover: interrupted: nothing was written\n", stderr.String())
}

// TestHelp checks that the help of each command has an example, and that each
// flag has a description that ends with a period.
func TestHelp(t *testing.T) {
	parser, err := kong.New(&cli{}, vars())
	require.NoError(t, err)
	for _, command := range parser.Model.Leaves(false) {
		require.Contains(t, command.Detail, "Example:", command.Path())
		for _, flag := range command.Flags {
			require.Regexp(t, `\S\.$`, flag.Help, "%s --%s", command.Path(), flag.Name)
		}
	}
}

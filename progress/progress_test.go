package progress_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/progress"
)

func TestCounterAddsUp(t *testing.T) {
	var last progress.Progress
	c := progress.NewCounter(progress.Progress{Stage: "write", Total: 800, Unit: progress.Bytes}, func(p progress.Progress) { last = p })
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 100 {
				c.Add(1)
			}
		})
	}
	group.Wait()
	require.Equal(t, progress.Progress{Stage: "write", Done: 800, Total: 800, Unit: progress.Bytes}, last)
	progress.NewCounter(progress.Progress{}, nil).Add(1) // reports to nobody
}

func ExampleFunc() {
	var report progress.Func = func(p progress.Progress) {
		fmt.Printf("%s: %d of %d %s\n", p.Stage, p.Done, p.Total, p.Unit)
	}
	c := progress.NewCounter(progress.Progress{Stage: "write", Total: 10, Unit: progress.Bytes}, report)
	c.Add(4)
	c.Add(6)
	// Output:
	// write: 4 of 10 bytes
	// write: 10 of 10 bytes
}

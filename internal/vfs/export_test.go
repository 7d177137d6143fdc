package vfs

// The names below are for the tests of faults. They are in package vfs_test,
// because package vfstest imports this one.

// Kind is a kind of output on a kind of file system.
type Kind struct {
	Name   string
	FS     FS
	Single string // the argument of Publish
}

// Kinds are the kinds that the tests publish.
var Kinds = func() (list []Kind) {
	for _, k := range kinds {
		list = append(list, Kind{k.name, k.fs, k.single})
	}
	return list
}()

// OldFiles and NewFiles are the files of an output before and after a run.
var OldFiles, NewFiles = oldFiles, newFiles

// Helpers of the tests of Stage.
var (
	Beside = hiddenPath
	Holds  = holds
	Names  = names
	Output = output
	Put    = put
)

package main

const (
	// ownFiles are those that are open whatever is done: the streams, the poller,
	// locks, a report.
	ownFiles = 16
	// filesPerJob is how many one image on its way has open at most: the directory
	// of its layout, a file that is copied and its copy, one that is sent, and the
	// connection.
	filesPerJob = 5
)

// affordable gives how many of the jobs that were asked for can go side by side
// where so many files may be open at a time. One that cannot open its file would
// fail its image, and one of a scan would be told as unreadable.
func affordable(jobs, each, openFiles int) int {
	return max(1, min(jobs, (openFiles-ownFiles)/each))
}

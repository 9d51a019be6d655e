package dirlayout

// SetMedia puts other calls in the place of those that a file system is tried by,
// until the returned function is called.
func SetMedia(name func(string) error, link func(from, to string) error) (restore func()) {
	oldName, oldLink := tryName, tryLink
	tryName, tryLink = name, link
	return func() { tryName, tryLink = oldName, oldLink }
}

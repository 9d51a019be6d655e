package serve

import (
	"testing"
	"time"
)

// Impatient has clients that do not read lose their connection soon, and those that
// do not send after a while, for a test.
func Impatient(t *testing.T, reading, sending time.Duration) {
	stall, header := stallTime, headerTimeout
	stallTime, headerTimeout = reading, sending
	t.Cleanup(func() { stallTime, headerTimeout = stall, header })
}

// HurryAtTheEnd gives requests under way little time when the end is asked for, for
// a test.
func HurryAtTheEnd(t *testing.T) {
	old := graceTime
	graceTime = time.Millisecond
	t.Cleanup(func() { graceTime = old })
}

// KeepMoving is what Run puts around a handler.
var KeepMoving = keepMoving

// Stretch is how many bytes go out before a deadline moves.
const Stretch = stretch

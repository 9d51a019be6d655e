package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
)

// Of the index of a large tree, nothing is ever garbage: the runtime's own rule,
// to let the heap grow to twice what is live, would take as much again. Measured
// with list on 100,000 tags, of which 170 MB are live at the most: 363 MB by that rule,
// 228 MB by this one, for about a tenth more of the processor's time.
const (
	roomForGarbage = 20 << 20 // bytes
	leastPercent   = 12       // of what is live: less room has the collector run all the time
	mostPercent    = 100      // the runtime's own
)

// limitGarbage holds what the collector lets accumulate to about as much, however
// much is live, until it is stopped. GOGC in the environment, if it is set, is left
// as it is.
func limitGarbage() (stop func()) {
	var stopped atomic.Bool
	if os.Getenv("GOGC") == "" {
		afterCollection(&stopped)
	}
	return func() { stopped.Store(true) }
}

// afterCollection sets the share anew after each collection, of which the runtime
// tells by cleaning up what nobody has any more.
func afterCollection(stopped *atomic.Bool) {
	if stopped.Load() {
		return
	}
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	debug.SetGCPercent(garbagePercent(live[0].Value.Uint64()))
	runtime.AddCleanup(new([16]byte), afterCollection, stopped)
}

// garbagePercent is how many percent garbage may be of so many live bytes.
func garbagePercent(live uint64) int {
	return int(min(max(roomForGarbage*100/max(live, 1), leastPercent), mostPercent))
}

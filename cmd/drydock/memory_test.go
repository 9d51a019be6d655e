package main

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"
)

func TestGarbagePercent(t *testing.T) {
	for live, want := range map[uint64]int{
		0:         100, // before the first collection
		10 << 20:  100,
		20 << 20:  100,
		40 << 20:  50,
		80 << 20:  25,
		400 << 20: 12,
		1 << 40:   12,
		1<<64 - 1: 12,
		25 << 20:  80,
	} {
		if got := garbagePercent(live); got != want {
			t.Errorf("%d live bytes: %d%%, want %d%%", live, got, want)
		}
	}
}

// The share follows what is live, collection by collection, until it is stopped.
func TestLimitGarbage(t *testing.T) {
	t.Setenv("GOGC", "")
	before := debug.SetGCPercent(100)
	defer debug.SetGCPercent(before)
	large := make([]byte, 256<<20)
	stop := limitGarbage()
	defer stop()
	percent := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	for n := 0; ; n++ {
		runtime.GC()
		metrics.Read(percent)
		if percent[0].Value.Uint64() <= 50 {
			break
		}
		if n == 100 {
			t.Fatalf("%d%% with 256 MiB live", percent[0].Value.Uint64())
		}
		time.Sleep(time.Millisecond) // the cleanup runs some time after its collection
	}
	runtime.KeepAlive(large)
}

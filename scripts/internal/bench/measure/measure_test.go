package measure_test

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/seed-5b48bd9d/drydock/scripts/internal/bench/measure"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == measure.ChildFlag {
		os.Exit(measure.Child(os.Args[2:]))
	}
	os.Exit(m.Run())
}

// TestRun holds that a program has what it is given, and that its memory is its
// own, however much whoever measures it has.
func TestRun(t *testing.T) {
	ours := make([]byte, 400<<20)
	for i := 0; i < len(ours); i += 4096 {
		ours[i] = 1
	}
	var out bytes.Buffer
	u, err := measure.Run(t.Context(), measure.Command{
		Args:  []string{"sh", "-c", `read line; exec 7</dev/null 8</dev/null; sleep 0.3; echo "$line $VARIABLE"`},
		Env:   []string{"VARIABLE=two"},
		Stdin: strings.NewReader("one\n"), Stdout: &out,
	})
	if err != nil {
		t.Fatal(err)
	}
	if out.String() != "one two\n" {
		t.Errorf("it printed %q", out.String())
	}
	if u.Memory == 0 || u.Memory > 200<<20 {
		t.Errorf("%d bytes of memory for a shell, where its parent's parent has %d", u.Memory, len(ours))
	}
	if u.Files < 5 || u.Seconds < 0.3 {
		t.Errorf("%+v", u)
	}
	ours[0]++ // held until here
}

func TestRunFails(t *testing.T) {
	_, err := measure.Run(t.Context(), measure.Command{Args: []string{"sh", "-c", "echo why >&2; exit 3"}})
	if err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "why") {
		t.Errorf("%v", err)
	}
	if _, err := measure.Run(t.Context(), measure.Command{Args: []string{"no-such-program"}}); err == nil {
		t.Error("no error for a program that is not there")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := measure.Run(ctx, measure.Command{Args: []string{"sleep", "1000"}}); err == nil {
		t.Error("no error though its time was up")
	}
}

func TestPeak(t *testing.T) {
	values := make(chan int64, 3)
	for _, v := range []int64{2, 9, 4} {
		values <- v
	}
	stop := measure.Peak(func() int64 {
		select {
		case v := <-values:
			return v
		default:
			return 1
		}
	})
	for len(values) > 0 {
		time.Sleep(time.Millisecond)
	}
	if got := stop(); got != 9 {
		t.Errorf("the largest is 9, not %d", got)
	}
	if measure.Taken(t.TempDir()) <= 0 {
		t.Error("nothing is taken of the disk")
	}
}

package job

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/platform/job/alive"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
)

// workerVariable tells this test program to be a worker that a test kills: FOLDER NAME.
const workerVariable = "SCRIP_JOB_WORKER"

func TestMain(m *testing.M) {
	if folder, name, found := strings.Cut(os.Getenv(workerVariable), " "); found {
		mark, err := alive.Folder(folder).Enter(name)
		fmt.Println("entered:", err)
		_, _ = io.Copy(io.Discard, os.Stdin) // until it is killed
		runtime.KeepAlive(mark)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// process is a worker in a process of its own, which the returned function kills.
func process(t *testing.T, at alive.Folder, name string) func() {
	t.Helper()
	worker := exec.CommandContext(t.Context(), os.Args[0])
	worker.Env = append(os.Environ(), workerVariable+"="+string(at)+" "+name)
	if _, err := worker.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := worker.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := worker.Start(); err != nil {
		t.Fatal(err)
	}
	var said string
	if _, err := fmt.Fscanln(out, &said, &said); err != nil || said != "<nil>" {
		t.Fatalf("the worker says %s, %v", said, err)
	}
	return func() {
		t.Helper()
		if err := worker.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = worker.Wait() // it was killed
	}
}

// wantAfterReclaim has jobs of lost workers made pending, and wants so many to be running then.
func (f *fixture) wantAfterReclaim(running int) {
	f.t.Helper()
	if err := f.reclaim(context.Background()); err != nil {
		f.t.Fatal(err)
	}
	f.wantCount(stateRunning, running)
}

// What a killed process held is due at once on its machine, unless it was lost before as
// often as it may be: then it is after a pause that grows with each time, up to its lease. What a
// process holds that lives, or of which nothing is known, waits for its lease.
func TestKilledWorker(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		f, r := setup(t, db), &record{}
		f.Workers = alive.Folder(t.TempDir())
		f.Handle("note", Options{}, r.handle)
		f.enqueue(Request{Kind: "note", Payload: []byte("x")})
		pauses := []time.Duration{0, 0, lostPause, 4 * lostPause, 9 * lostPause, 16 * lostPause, 25 * lostPause, leaseFor, leaseFor}
		for attempt, pause := range pauses {
			f.owner = fmt.Sprint("worker_", attempt)
			kill := process(t, f.Workers, f.owner)
			f.lose("note")
			f.wantAfterReclaim(1)
			kill()
			if pause > 0 {
				f.wantAfterReclaim(1)
				f.clock.Advance(pause)
				f.wantAfterReclaim(1)
				f.clock.Advance(time.Millisecond)
			}
			f.wantAfterReclaim(0)
		}
		f.drain()
		r.want(t, fmt.Sprint("/x#", len(pauses)+1))
		f.owner = "worker_elsewhere"
		f.enqueue(Request{Kind: "note", Payload: []byte("y")})
		f.lose("note")
		f.wantAfterReclaim(1)
	})
}

// A queue that runs comes back to what it had wait as soon as that is over, and does not leave it
// until it renews its leases.
func TestKilledWorkerIsWaitedFor(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		f, at := setup(t, db), alive.Folder(t.TempDir())
		f.Workers = at
		f.Handle("note", Options{}, (&record{}).handle)
		f.enqueue(Request{Kind: "note"})
		for attempt := range mostLost + 1 {
			f.wantAfterReclaim(0)
			f.owner = fmt.Sprint("worker_", attempt)
			kill := process(t, at, f.owner)
			f.lose("note")
			kill()
		}
		next, done := beside(t, db, f.clock), make(chan int)
		next.Workers = at
		next.Handle("note", Options{}, func(_ context.Context, j Job) error {
			done <- j.Attempt
			return nil
		})
		start(t, next)
		waitFor(t, next, func() bool { // it has seen to what the dead one held
			entries, err := os.ReadDir(string(at))
			return err == nil && len(entries) == 1
		})
		f.wantCount(stateRunning, 1)
		f.clock.Advance(lostPause + time.Millisecond)
		if got := wait(t, done); got != mostLost+2 {
			t.Errorf("attempt %d after its pause", got)
		}
	})
}

// A lease that is over ends the pause before it would be renewed, once: where it cannot be taken
// back, such as when somebody else has the row locked, only other ones do.
func TestLeaseThatStaysOver(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		f := setup(t, db)
		f.Handle("note", Options{}, (&record{}).handle)
		over := int64(0)
		for range 2 {
			f.enqueue(Request{Kind: "note"})
			f.lose("note")
			f.clock.Advance(leaseFor + time.Millisecond)
			last, err := over, error(nil)
			if over, err = f.pause(t.Context(), over); over <= last || err != nil {
				t.Errorf("over at %d, after %d, %v", over, last, err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 3*pollEvery)
			if _, err := f.pause(ctx, over); err == nil {
				t.Error("it ends the pause again")
			}
			cancel()
		}
	})
}

// A queue notes that it lives, and takes that back once it has stopped with nothing in hand.
func TestWorkersNote(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		f, at := setup(t, db), t.TempDir()
		f.Workers = alive.Folder(at)
		notes := func() string {
			entries, err := os.ReadDir(at)
			if err != nil {
				t.Fatal(err)
			}
			return fmt.Sprint(entries)
		}
		if err := f.Start(context.Background()); err != nil {
			t.Fatal(err)
		}
		if got := notes(); got != "[- "+f.owner+"]" {
			t.Errorf("while it runs there is %s", got)
		}
		if err := f.Stop(context.Background()); err != nil {
			t.Fatal(err)
		}
		if got := notes(); got != "[]" {
			t.Errorf("afterwards there is %s", got)
		}
	})
}

// Work that was asked for again while it ran is done once more, also where one commit settled
// it and claimed it again, and the answer to that commit was lost.
func TestAnswerToSettlementLost(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		ctx, f, r := t.Context(), setup(t, db), &record{}
		f.Handle("note", Options{}, r.handle)
		f.phase = phaseRunning
		k, request := f.kinds["note"], Request{Kind: "note", Unique: "one", Payload: []byte("x")}
		f.enqueue(request)
		f.take("note")
		f.enqueue(request)
		for c := range k.held {
			f.outcomes = append(f.outcomes, f.attempt(ctx, k, c))
		}
		for i := range k.more {
			k.more[i] = true
		}
		lost := f.plan()
		if err := f.commit(ctx, lost); err != nil {
			t.Fatal(err)
		}
		f.postpone(lost.outcomes, true)
		if err := f.commit(ctx, &plan{outcomes: f.outcomes}); err != nil {
			t.Fatal(err)
		}
		f.wantCount(stateRunning, 1)
		if err := f.renew(ctx); err != nil {
			t.Fatal(err)
		}
		f.clock.Advance(leaseFor + time.Second)
		f.wantAfterReclaim(0)
		f.phase = phaseNew
		f.drain()
		r.want(t, "/x#1 /x#2")
		f.wantCount(statePending, 0)
	})
}

package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestDemoEnds: Ctrl-C, or SIGTERM, ends the demo within seconds and leaves nothing behind.
func TestDemoEnds(t *testing.T) {
	t.Parallel()
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			m := newMachine(t)
			d := startDemo(t, m, "--regions", "2")
			if got := len(m.processes()); got != 3 {
				t.Errorf("%d processes, want the demo and two regions: %q", got, m.processes())
			}
			if code := d.stop(t, signal); code != 0 {
				t.Errorf("exit code %d\n%s", code, d.stderr.String())
			}
			checkNothingLeft(t, m)
		})
	}
}

// checkNothingLeft fails when a process, a file or the note for later commands is left.
func checkNothingLeft(t *testing.T, m *machine) {
	t.Helper()
	if err := m.idle(); err != nil {
		t.Error(err)
	}
	if left := m.temporary(t); len(left) > 0 {
		t.Errorf("temporary files left: %q", left)
	}
	if r := m.cli(t, "status"); r.code != 4 || !strings.Contains(r.stderr, "s3mesh demo") {
		t.Errorf("status afterwards: exit code %d, %s", r.code, r.stderr)
	}
}

// TestDemoEndsAtWork: Ctrl-C in the middle of starting, or of a burst of writes, is as orderly.
func TestDemoEndsAtWork(t *testing.T) {
	t.Parallel()
	t.Run("starting", func(t *testing.T) {
		t.Parallel()
		m := newMachine(t)
		p := m.launch(t, 1, "demo", "--json")
		eventually(t, startTimeout, "a region's process", func() error {
			if len(m.processes()) < 2 {
				return fmt.Errorf("%q", m.processes())
			}
			return nil
		})
		if code := p.stop(t, syscall.SIGINT); code != 0 {
			t.Errorf("exit code %d\n%s", code, p.stderr.String())
		}
		checkNothingLeft(t, m)
	})
	t.Run("writes", func(t *testing.T) {
		t.Parallel()
		m := newMachine(t)
		d := startDemo(t, m, "--regions", "2")
		stopped := make(chan struct{})
		written := make(chan struct{}, 1)
		go func() {
			defer close(stopped)
			for i := 0; d.sites[0].put(t.Context(), fmt.Sprintf("burst/%d", i), text("x")) == nil; i++ {
				select {
				case written <- struct{}{}:
				default:
				}
			}
		}()
		<-written
		if code := d.stop(t, syscall.SIGINT); code != 0 {
			t.Errorf("exit code %d\n%s", code, d.stderr.String())
		}
		<-stopped
		checkNothingLeft(t, m)
	})
}

// TestDemoKilled: when the demo is killed, its regions end with it.
func TestDemoKilled(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	d := startDemo(t, m)
	d.kill(t)
	eventually(t, stopTimeout, "the regions have ended", m.idle)
}

// TestDemoOutlivesItsReader: a demo whose standard output nobody reads any more, as in "demo --json | head -1", goes on.
func TestDemoOutlivesItsReader(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := m.command(t.Context(), "demo", "--json", "--regions", "2")
	cmd.Stdout = w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		_ = cmd.Wait() // the state tells
		close(done)
	}()
	defer func() {
		_ = cmd.Process.Kill() // it may have ended
		<-done
	}()
	line, err := bufio.NewReader(r).ReadBytes('\n')
	if err != nil || r.Close() != nil || w.Close() != nil {
		t.Fatal(err)
	}
	var hello demoHello
	if err := json.Unmarshal(line, &hello); err != nil {
		t.Fatal(err)
	}
	for _, s := range hello.Sites {
		s.connect(t)
	}
	hello.Sites[0].mustPut(t, "unread", text("x"))
	awaitObject(t, hello.Sites, "unread", text("x"))
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	select {
	case <-done:
	case <-time.After(stopTimeout):
		t.Fatal("still running")
	}
	if code := cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("ended with %v", cmd.ProcessState)
	}
	checkNothingLeft(t, m)
}

// TestDemoKeepsData: --data keeps objects, credentials and addresses, also when the demo was killed.
func TestDemoKeepsData(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	data := m.dir + "/kept"
	args := []string{"--data", data, "--regions", "2"}
	release := occupy(t, 9100, 9101, 9102)
	d := startDemo(t, m, args...)
	release()
	hideCard(t, m, data+"/demo.json")
	d.sites[0].mustPut(t, "kept/object", text("kept"))
	awaitObject(t, d.sites, "kept/object", text("kept"))
	if code := d.stop(t, syscall.SIGINT); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	checkNothingLeft(t, m)

	again := startDemo(t, m, args...)
	checkSameHello(t, d, again)
	awaitObject(t, again.sites, "kept/object", text("kept"))
	again.kill(t)
	eventually(t, stopTimeout, "the regions have ended", m.idle)

	third := startDemo(t, m, args...)
	checkSameHello(t, d, third)
	third.sites[1].mustPut(t, "kept/object", text("overwritten"))
	awaitObject(t, third.sites, "kept/object", text("overwritten"))
	third.stop(t, syscall.SIGINT)

	if r := m.cli(t, "demo", "--data", data, "--regions", "3"); r.code != 2 || !strings.Contains(r.stderr, "same --regions") {
		t.Errorf("other regions: exit code %d, %s", r.code, r.stderr)
	}
}

// hideCard makes every secret that a demo keeps in its folder one that may not be printed.
func hideCard(t *testing.T, m *machine, file string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var card map[string]any
	decode(t, string(data), &card)
	for _, name := range []string{"secret_key", "replicator_secret", "admin_token", "intake_token"} {
		secret, _ := card[name].(string)
		if secret == "" {
			t.Fatalf("%s has no %s", file, name)
		}
		m.hide(secret)
	}
}

func checkSameHello(t *testing.T, a, b *demo) {
	t.Helper()
	if first, again := a.stdout.lines()[0], b.stdout.lines()[0]; first != again {
		t.Errorf("the first line changed from\n%s\nto\n%s", first, again)
	}
}

// occupy takes local ports, so that a demo does not choose them, which another test's demo may do as well.
func occupy(t *testing.T, ports ...int) (release func()) {
	t.Helper()
	var listeners []net.Listener
	for _, port := range ports {
		if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			listeners = append(listeners, l)
		} // else somebody else has taken it, which serves as well
	}
	release = func() {
		for _, l := range listeners {
			_ = l.Close() // closed twice, by the test and by its end
		}
	}
	t.Cleanup(release)
	return release
}

// TestDemoRegions: regions by number, and by name.
func TestDemoRegions(t *testing.T) {
	t.Parallel()
	for flag, want := range map[string][]string{
		"2":             {"us-east-1", "eu-west-2"},
		"mars,venus,io": {"mars", "venus", "io"},
	} {
		t.Run(flag, func(t *testing.T) {
			t.Parallel()
			d := startDemo(t, newMachine(t), "--regions", flag)
			if got := names(d.sites); !slices.Equal(got, want) {
				t.Errorf("regions %q, want %q", got, want)
			}
			d.sites[1].mustPut(t, "hello", text("x"))
			awaitObject(t, d.sites, "hello", text("x"))
		})
	}
}
